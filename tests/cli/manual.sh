#!/usr/bin/env bash
# What is written about the program: README.md, jobs/README.md and the manual agree with it, and manual pages with the
# Markdown that they are made from.
# shellcheck source=tests/harness.sh disable=SC1091,SC2016
. "$(dirname "$0")/../harness.sh"
cd "$HERE" || exit 1

MANUAL=src/app/manual
PAGES=("$MANUAL"/filteratlas-*.md jobs/README.md)
TEXTS=(README.md "$MANUAL/README.md" "${PAGES[@]}")

# Options --------------------------------------------------------------------------------------------------------------
"$FILTERATLAS" --options-markdown >"$TEMPORARY/wanted"
check "the table of options has rows" test "$(grep -c '^| `--' "$TEMPORARY/wanted")" -ge 20
sed -n '/<!-- options -->/,/<!-- \/options -->/{//!p}' "$MANUAL/README.md" >"$TEMPORARY/table"
check "the manual has the table of options that the program prints" diff "$TEMPORARY/table" "$TEMPORARY/wanted"

# Options of other programs, and what the program offers beside the table.
others='--bandwidth --bench --bind-to --export --help --man --mpi --ntasks --quick --time --version --seeds --kernels'
{
    tr ' ' '\n' <<<"$others"
    sed -n 's/^| `\(--[a-z0-9-]*\).*/\1/p' "$TEMPORARY/wanted"
} | sort -u >"$TEMPORARY/options"
for text in "${TEXTS[@]}"; do
    grep -oE -- '(^|[^a-z-])--[a-z][a-z0-9-]*' "$text" | sed 's/^[^-]//' | sort -u >"$TEMPORARY/named"
    unknown=$(comm -23 "$TEMPORARY/named" "$TEMPORARY/options" | xargs)
    check "$text names options that there are${unknown:+, not $unknown}" test -z "$unknown"
done

# Links ----------------------------------------------------------------------------------------------------------------
# targets FILE: what its links and pictures lead to, but for addresses.
targets() { grep -oE '\]\([^)]+\)' "$1" | sed 's/^](//; s/)$//' | grep -vE '^https?:'; }
for text in "${TEXTS[@]}" jobs/demo/README.md; do
    lost=
    for target in $(targets "$text"); do
        [ -e "$(dirname "$text")/$target" ] || lost+=" $target"
    done
    check "$text has links that lead somewhere${lost:+, not$lost}" test -z "$lost"
done
for page in "${PAGES[@]}"; do
    name=$(sed -n '1s/^# \(.*)\): .*/\1/p' "$page")
    check "README.md leads to $name" grep -qF "[$name]($page)" README.md
    check "the manual's list leads to $name" grep -qF "[$name](" "$MANUAL/README.md"
done

# Pages ----------------------------------------------------------------------------------------------------------------
# words: of a text, one a line, each once.
words() { tr -cs 'A-Za-z0-9' '\n' | sort -u; }
# readable FILE: its text without what only those see who read the Markdown.
readable() { awk '/^<!--/ { next } /^!\[/ { below = 1; next } /^\*/ && below { skip = 1 } !NF { if (skip) below = skip = 0 } !skip' "$1" |
    sed -E 's/\]\([^)h][^)]*\)//g'; }
page_of() { case $1 in jobs/*) echo filteratlas-jobs.7 ;; *) basename "$1" .md ;; esac; }

check "make manual" make BUILD="${BUILD#"$HERE"/}" manual
check "it makes no more and no less" test "$(find "$BUILD/man" -type f -printf '%f\n' | sort | xargs)" = \
    "filteratlas-benchmark.7 filteratlas-formats.5 filteratlas-jobs.7 filteratlas-recipes.7 filteratlas.1"
if command -v groff >/dev/null; then
    for page in "${PAGES[@]}"; do
        made=$BUILD/man/$(page_of "$page")
        groff -t -man -Tascii -P-cbou -rLL=78n "$made" >"$TEMPORARY/page"
        readable "$page" | sed 's/^## .*/\U&/' | words >"$TEMPORARY/words"
        lost=$(comm -23 "$TEMPORARY/words" <(words <"$TEMPORARY/page") | xargs)
        check "$made has all words of $page${lost:+, not $lost}" test -z "$lost"
        sed -n 's/^    //p' "$page" | grep . >"$TEMPORARY/code"
        lost=$(grep -vFxf <(sed 's/^ *//' "$TEMPORARY/page") <(sed 's/^ *//' "$TEMPORARY/code"))
        check "$made has all code of $page as it stands${lost:+, not $lost}" test -z "$lost"
    done
else
    pass "manual pages have all words of their Markdown # SKIP needs groff"
fi

# What becomes of each part of a page.
cat >"$TEMPORARY/part.md" <<'END'
# filteratlas-part(7): a page of parts

## Text

A `--code` of **strong** and *weak* words, a * b, a \*, [a page](other.md) and [a place](https://example.org/a-b).
.dots and 'quotes at a line's head; a back\\slash.

![a picture](picture.png)

*What the picture shows.*

- first
  goes on
- second

    code  with   blanks
    .TH 'x' \e -

    more

| number | text |
| --- | --- |
| 1 | a \| b |
| 20 | .c |

| | |
| --- | --- |
| `term` | its meaning |
END
scripts/manual_page 1.2 2026-01-31 "$TEMPORARY/part.md" >"$TEMPORARY/part.7"
cat >"$TEMPORARY/wanted" <<'END'
NAME
filteratlas-part - a page of parts
TEXT
A --code of strong and weak words, a * b, a *, a page and a place
<https://example.org/a-b>. .dots and 'quotes at a line's head; a
back\slash.
o first goes on
o second
    code  with   blanks
    .TH 'x' \e -
    more
number   text
     1   a | b
    20   .c
term   its meaning
END
if command -v groff >/dev/null; then
    groff -t -man -Tascii -P-cbou -rLL=78n "$TEMPORARY/part.7" | grep . | sed '1d; $d; s/^       //' >"$TEMPORARY/shown"
    check "text, lists, code, tables and terms come out as they should" diff "$TEMPORARY/wanted" "$TEMPORARY/shown"
fi
refused() { ! scripts/manual_page 1.2 2026-01-31 "$1" >"$TEMPORARY/out" 2>"$TEMPORARY/err" && grep -Eq "$2" "$TEMPORARY/err"; }
printf '# a page\n' >"$TEMPORARY/bad.md"
check "a page without a name is refused" refused "$TEMPORARY/bad.md" 'bad.md:1: .*NAME'
printf '# a-b(7): c\n\nna\303\257ve\n' >"$TEMPORARY/bad.md"
check "a page that isn't ASCII is refused" refused "$TEMPORARY/bad.md" 'bad.md:3: .*ASCII'
printf '# a-b(7): c\n\n| a | b |\n| --- | --- |\n| %s | %s |\n' "$(printf '%040d' 1)" "$(printf '%040d' 2)" >"$TEMPORARY/bad.md"
check "a table too wide for a terminal is refused" refused "$TEMPORARY/bad.md" 'bad.md:5: .*too wide'
