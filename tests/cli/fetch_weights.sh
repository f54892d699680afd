#!/usr/bin/env bash
# scripts/fetch_weights against a real web server on this machine (busybox httpd, which can resume).
# shellcheck source=tests/harness.sh
. "$(dirname "$0")/../harness.sh"
export FILTERATLAS

fetch=$HERE/scripts/fetch_weights
weights=$HERE/jobs/demo/demo_weights.h5
size=$(stat -c %s "$weights")
md5=$(md5sum <"$weights" | cut -d ' ' -f 1)
www=$TEMPORARY/www
there=$TEMPORARY/there
mkdir "$www" "$there"
cp "$weights" "$www/vgg16.h5"
echo "some text" >"$www/text.h5"
server=
port=

# Starts the server on a free port; one that is taken ends it at once.
start_server() {
    for port in $(shuf -i 20000-29999 -n 20); do
        busybox httpd -f -p "127.0.0.1:$port" -h "$www" 2>/dev/null &
        server=$!
        for _ in $(seq 50); do
            kill -0 "$server" 2>/dev/null || break
            if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
            sleep 0.1
        done
        stop_server
    done
    return 1
}

stop_server() {
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=
}

# from_here FILE [OPTION]...: fetches the demo's weights from the server.
from_here() { "$fetch" --url "http://127.0.0.1:$port/vgg16.h5" --size "$size" --md5 "$md5" "$@"; }

# expect runs a command under timeout, which knows no functions.
export -f from_here
export fetch size md5
expect_here() {
    local what=$1 status=$2 pattern=$3
    shift 3
    # shellcheck disable=SC2016 # expanded by the inner shell
    expect "$what" "$status" "$pattern" bash -c 'from_here "$@"' from_here "$@"
}

if ! command -v busybox >/dev/null; then
    fail "busybox is installed" "the tests' web server is its httpd: apt-get install busybox"
    exit
fi
start_server || { fail "the web server starts"; exit; }
cleanup() { stop_server; }
export port

expect_here "a full download succeeds" 0 "" "$there/new/full.h5"
check "it is the file that was served" cmp "$weights" "$there/new/full.h5"
check "no partial file is left" test ! -e "$there/new/full.h5.part"
expect_here "a file that is there and right is only checked" 0 "" "$there/new/full.h5"
check "and it says so" grep -q "already there and right" "$TEMPORARY/out"

head -c $((size / 2)) "$weights" >"$there/half.h5.part"
expect_here "half a file is completed" 0 "" "$there/half.h5"
check "into the file that was served" cmp "$weights" "$there/half.h5"

# Had the download begun anew, this one would come out right.
head -c $((size / 2)) /dev/zero >"$there/wrong.h5.part"
expect_here "a wrong half is noticed" 1 "wrong\.h5\.part: .*wrong size or MD5.*removed; " "$there/wrong.h5"
check "and removed" test ! -e "$there/wrong.h5.part" -a ! -e "$there/wrong.h5"
expect_here "so that the next try succeeds" 0 "" "$there/wrong.h5"

head -c $((size + 1)) /dev/zero >"$there/long.h5.part"
expect_here "a partial file that is too long is noticed" 1 "long\.h5\.part: .*removed; " "$there/long.h5"

expect_here "a wrong MD5 is noticed" 1 "md5\.h5\.part: .*removed; " --md5 00000000000000000000000000000000 "$there/md5.h5"
check "and nothing is left" test ! -e "$there/md5.h5" -a ! -e "$there/md5.h5.part"

cp "$www/text.h5" "$there/other.h5"
expect_here "another file in its place is left alone" 1 "other\.h5: is not the published file.*; " "$there/other.h5"
check "unchanged" cmp "$www/text.h5" "$there/other.h5"

expect "what inspect refuses is refused" 1 "text\.h5\.part: filteratlas inspect refuses it" \
    "$fetch" --url "http://127.0.0.1:$port/text.h5" --size "$(stat -c %s "$www/text.h5")" \
    --md5 "$(md5sum <"$www/text.h5" | cut -d ' ' -f 1)" "$there/text.h5"
check "and does not become the file" test ! -e "$there/text.h5"

expect_here "an address without a file is told" 1 "none\.h5: download failed .*; " \
    --url "http://127.0.0.1:$port/none.h5" "$there/none.h5"

# Without curl: a PATH that has the rest.
mkdir "$TEMPORARY/bin"
for tool in bash cut dirname md5sum mkdir mv rm stat touch wget; do
    ln -s "$(command -v $tool)" "$TEMPORARY/bin/$tool"
done
head -c $((size / 3)) "$weights" >"$there/wget.h5.part"
expect "wget completes a file where there is no curl" 0 "" env PATH="$TEMPORARY/bin" bash "$fetch" \
    --url "http://127.0.0.1:$port/vgg16.h5" --size "$size" --md5 "$md5" "$there/wget.h5"
check "into the file that was served" cmp "$weights" "$there/wget.h5"
rm "$TEMPORARY/bin/wget"
expect "without either it says what to do" 1 "neither curl nor wget.*copy it to .*again" env PATH="$TEMPORARY/bin" \
    bash "$fetch" --url "http://127.0.0.1:$port/vgg16.h5" --size "$size" --md5 "$md5" "$there/neither.h5"

stop_server
head -c $((size / 2)) "$weights" >"$there/down.h5.part"
expect_here "without a connection it says what to do" 1 "download failed .*copy it to .*down\.h5 and run this again" \
    "$there/down.h5"
check "and keeps the half" test "$(stat -c %s "$there/down.h5.part")" -eq $((size / 2))
expect_here "what was copied there by hand is checked" 0 "" "$there/half.h5"

expect "a file's folder that can't be made is told" 1 "cannot be written; " "$fetch" /dev/null/folder/file.h5
expect "an unknown option is refused" 2 "fetch_weights: --nonsense: no such option; " "$fetch" --nonsense
expect "a size that is no number is refused" 2 "fetch_weights: --size many: " "$fetch" --size many
expect "a directory is refused" 2 "is a directory; " "$fetch" "$there"
expect "--help succeeds" 0 "" "$fetch" --help
check "and goes to standard output" grep -q "^Usage: " "$TEMPORARY/out"
