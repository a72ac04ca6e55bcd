#!/bin/sh
# Maven fetches the jars of a real Kafka for the tests. Installs it where this user may, else says what is missing.
# Never fails: without Kafka the other tests still run, and pytest's last lines say what did not.
[ -n "$GENKI_TEST_KAFKA" ] && exit 0
command -v mvn >/dev/null 2>&1 && exit 0
command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1 && exit 0

as_root=
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if command -v apt-get >/dev/null 2>&1 && $as_root true 2>/dev/null; then
  echo "Installing Maven, which fetches a real Kafka for the tests …" >&2
  $as_root env DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get update -q && apt-get install -q -y --no-install-recommends maven' >/dev/null 2>&1 && exit 0
fi
echo "NO MAVEN: the tests against a real Kafka will be skipped. Install Maven, start Docker or set GENKI_TEST_KAFKA." >&2
exit 0
