#!/bin/sh
# Installs what building and testing need and this machine lacks: a C compiler and libpcap's headers.
# tshark is wanted by some tests only; they skip with a printed line where it is missing.
set -eu

have() { command -v "$1" >/dev/null 2>&1; }
has_pcap() { printf '#include <pcap/pcap.h>\nint main(void){return 0;}\n' | cc -E -x c - >/dev/null 2>&1; }

if ! have cargo; then
    echo "setup: expected cargo on the PATH, found none: install a Rust toolchain (https://rustup.rs)" >&2
    exit 1
fi
if have cc && has_pcap && [ "${1:-}" != "--with-tshark" ]; then
    exit 0
fi
if have cc && has_pcap && have tshark; then
    exit 0
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else
        echo "setup: expected root or sudo to run: $*" >&2
        exit 1
    fi
}

optional() { "$@" || echo "setup: $* failed; the tests that need it are skipped" >&2; }

if have apt-get; then
    export DEBIAN_FRONTEND=noninteractive
    if ! have cc || ! has_pcap; then
        as_root apt-get update -qq
        as_root apt-get install -y -qq gcc libc6-dev libpcap-dev >/dev/null
    fi
    if [ "${1:-}" = "--with-tshark" ] && ! have tshark; then
        optional as_root apt-get update -qq
        optional as_root apt-get install -y -qq tshark >/dev/null
    fi
elif have dnf; then
    as_root dnf install -y -q gcc libpcap-devel
    [ "${1:-}" != "--with-tshark" ] || optional as_root dnf install -y -q wireshark-cli
elif have apk; then
    as_root apk add --quiet gcc musl-dev libpcap-dev
    [ "${1:-}" != "--with-tshark" ] || optional as_root apk add --quiet tshark
elif have pacman; then
    as_root pacman -S --noconfirm --needed --quiet gcc libpcap
    [ "${1:-}" != "--with-tshark" ] || optional as_root pacman -S --noconfirm --needed --quiet wireshark-cli
elif have brew; then
    brew install --quiet libpcap
    [ "${1:-}" != "--with-tshark" ] || optional brew install --quiet wireshark
else
    echo "setup: found no package manager that it knows; install a C compiler and libpcap's headers" >&2
    exit 1
fi
