#!/bin/sh
# Makes a certificate for Redis, and the authority that signs it, in a folder: ca.crt, redis.crt and
# redis.key. Run again, it keeps them until a month before they expire.
#
#   deploy/certificates.sh FOLDER NAME...       NAMEs by which Redis is reached: DNS names, addresses
set -eu

folder=$1
shift
first=$1
names=
for name; do
    case $name in
        *:* | *[0-9].[0-9]*.[0-9]*.[0-9]*) kind=IP ;;
        *) kind=DNS ;;
    esac
    names="${names:+$names,}$kind:$name"
done

umask 077
mkdir -p "$folder"
cd "$folder"
if openssl x509 -checkend 2592000 -noout -in redis.crt >/dev/null 2>&1 &&
    [ "$(cat names 2>/dev/null)" = "$names" ]; then
    exit 0
fi

key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc"
# the authority's key signs this one certificate and is not kept
# shellcheck disable=SC2086
openssl req -x509 $key -days 825 -subj "/CN=windlass-redis-ca" -keyout ca.key -out ca.crt \
    -addext "keyUsage=critical,keyCertSign" 2>/dev/null
# shellcheck disable=SC2086
openssl req $key -subj "/CN=$first" -keyout redis.key -out redis.csr 2>/dev/null
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$names" > extensions
openssl x509 -req -in redis.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 824 \
    -extfile extensions -out redis.crt 2>/dev/null
rm -f ca.key ca.srl redis.csr extensions
chmod 644 ca.crt redis.crt
printf '%s' "$names" > names
