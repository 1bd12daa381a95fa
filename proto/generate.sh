#!/bin/sh
# Regenerates the committed protobuf code: proto/generate.sh [output folder, default services].
# Needs grpcio-tools and mypy-protobuf of requirements.lock (extra `test`); PYTHON names the interpreter that has them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-"$here/../services"}
python=$("${PYTHON:-python}" -c 'import sys; print(sys.executable)')
plugin=$("$python" -c 'import pathlib, sysconfig; print(pathlib.Path(sysconfig.get_path("scripts")) / "protoc-gen-mypy_grpc")')

generate() { # generate <virtual folder> <folder of .proto files>
    messages=
    services=
    for file in "$2"/*.proto; do
        messages="$messages $1/$(basename "$file")"
        if grep -q '^service ' "$file"; then
            services="$services $1/$(basename "$file")"
        fi
    done
    # From / so that no folder in the way is taken for the virtual one.
    cd /
    # shellcheck disable=SC2086  # the lists are split on purpose; file names hold no spaces
    "$python" -m grpc_tools.protoc "-I$1=$2" --python_out="$out" --pyi_out="$out" $messages
    # shellcheck disable=SC2086
    "$python" -m grpc_tools.protoc "-I$1=$2" --plugin="protoc-gen-mypy_grpc=$plugin" \
        --grpc_python_out="$out" --mypy_grpc_out=quiet:"$out" $services
}

mkdir -p "$out/noyau/v1" "$out/noyau/oip"
out=$(cd "$out" && pwd)
generate noyau/v1 "$here/noyau/v1"
generate noyau/oip "$here/inference"
