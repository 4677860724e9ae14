#!/bin/sh
# Makes the certificates that the tests use: an authority's, and a server's for 127.0.0.1, good from 2020 until 2120.
# The authority's key is thrown away, so nobody can sign others.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
: > "$folder/issued"
cat > "$folder/ca.cnf" <<END
[ca]
default_ca = tests
[tests]
database = $folder/issued
new_certs_dir = $folder
rand_serial = yes
default_md = sha256
policy = anything
[anything]
commonName = supplied
[authority]
subjectKeyIdentifier = hash
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[server]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1
END
for name in authority server; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=warmer's tests: $name" \
        -keyout "$folder/$name.key" -out "$folder/$name.csr"
done
sign() {
    openssl ca -config "$folder/ca.cnf" -batch -notext -startdate 20200101000000Z -enddate 21200101000000Z "$@"
}
sign -selfsign -extensions authority -keyfile "$folder/authority.key" -in "$folder/authority.csr" -out authority.pem
sign -extensions server -cert authority.pem -keyfile "$folder/authority.key" -in "$folder/server.csr" -out server.pem
cp "$folder/server.key" server.key
