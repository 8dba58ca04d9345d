#!/usr/bin/env bash
# Builds the fuzz targets and runs each for SECONDS, as many at once as there are cores. No cargo-fuzz and no nightly toolchain
# needed: fuzz/rustc adds the instruments.
#
#   fuzz/run.sh SECONDS [TARGET...]
#
# Seeds are read from fuzz/corpus/TARGET and never changed; what a run finds is kept beside the build, at most
# CORPUS_FILES_MAX inputs per target. An input that crashes is written to fuzz/artifacts/TARGET-*; to replay it, run the
# target's binary with the file as its argument. Exit code 1 if any target crashed, ran out of memory, or timed out.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
if [[ ! ${1:-} =~ ^[0-9]+$ ]]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
seconds=$1
shift
all=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$here/Cargo.toml" | tail -n +2)
targets=("${@:-}")
if [[ -z ${targets[0]} ]]; then
    read -ra targets <<<"$(tr '\n' ' ' <<<"$all")"
fi
for target in "${targets[@]}"; do
    if ! grep -qx "$target" <<<"$all"; then
        echo "no fuzz target $target; there are: $(tr '\n' ' ' <<<"$all")" >&2
        exit 2
    fi
done

cd "$here/.."
built=${CARGO_TARGET_DIR:-$PWD/target}
# What comes from elsewhere is built as it is for the server, and so once for both. That depends on who else is built: these are the packages
# that `cargo xtask build` builds.
beside=(anser anser-chaos anser-sim anser-tests)
RUSTC_WORKSPACE_WRAPPER=$here/rustc cargo build --quiet --profile fast --package anser-fuzz \
    $(printf -- '--package %s ' "${beside[@]}") $(printf -- '--bin %s ' "${targets[@]}")

mkdir -p "$here/artifacts"
max=${CORPUS_FILES_MAX:-2000}

# Fuzzes one target. What it says comes in one piece, when it ends.
fuzz_one() {
    local target=$1
    local binary=$built/fast/$target
    local found=$built/fuzz/$target
    mkdir -p "$found" "$here/corpus/$target"
    if (($(find "$found" -type f | wc -l) > max)); then
        rm -rf "$found.less" && mkdir "$found.less"
        "$binary" -merge=1 "$found.less" "$found" >/dev/null 2>&1 && rm -rf "$found" && mv "$found.less" "$found"
        find "$found" -type f | tail -n +$((max + 1)) | xargs -r rm -f
    fi
    local status=0
    "$binary" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$here/artifacts/$target-" "$found" "$here/corpus/$target" >"$found.log" 2>&1 || status=$?
    {
        echo "$target"
        ((status == 0)) || tail -n 40 "$found.log"
        grep -h -E 'stat::number_of_executed_units|stat::peak_rss_mb' "$found.log" | sed "s/^/  /" || true
    } >"$found.said"
    cat "$found.said"
    return "$status"
}

running=0
crashed=0
trap 'kill $(jobs -pr) 2>/dev/null || true' EXIT
echo "fuzz ${targets[*]} for $seconds s each"
for target in "${targets[@]}"; do
    if ((running == $(nproc))); then
        wait -n || crashed=$((crashed + 1))
        running=$((running - 1))
    fi
    fuzz_one "$target" &
    running=$((running + 1))
done
for (( ; running > 0; running--)); do
    wait -n || crashed=$((crashed + 1))
done

if ((crashed)); then
    echo "$crashed of ${#targets[@]} targets crashed; their inputs are in fuzz/artifacts" >&2
    exit 1
fi
echo "no crash in ${#targets[@]} targets"
