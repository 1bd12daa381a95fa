#!/usr/bin/env bash
# Chromium for the tests of OMERO.web: from Debian's packages where this user may install them. Without it they are
# skipped, so nothing here is an error.
set -uo pipefail
for name in chromium chromium-browser google-chrome; do
  command -v "$name" > /dev/null && exit 0
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "No Chromium: the tests of OMERO.web are skipped (apt-get install chromium as root makes them run)." >&2
  exit 0
fi
echo "Installing Chromium for the tests of OMERO.web." >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get -o DPkg::Lock::Timeout=600 -qq update &&
  apt-get -o DPkg::Lock::Timeout=600 -qq -y install --no-install-recommends chromium fonts-dejavu-core; } > "$log" 2>&1; then
  echo "Chromium could not be installed, the tests of OMERO.web are skipped:" >&2
  tail -n 3 "$log" >&2
fi
rm -f "$log"
