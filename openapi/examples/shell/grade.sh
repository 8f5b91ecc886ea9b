#!/bin/sh
# Grade files with the service:  grade.sh TASK SUBMISSION.json...
#
# TASK is the id of a task that the service at GRADIENT_URL holds; GRADIENT_KEY is a key with
# the scope "grade", if it needs one. Prints each submission's share of the points and what is
# said to the student. Ends with 0 when all are right, 1 when some are not, 2 when some could
# not be graded.
set -u

if [ "$#" -lt 2 ]; then
    echo "usage: $0 TASK SUBMISSION.json..." >&2
    exit 2
fi
url="${GRADIENT_URL:-http://127.0.0.1:8000}"
# Byte by byte, so that an id may hold blanks and signs.
task="$(printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g')"
shift
code=0
answer="$(mktemp)"
trap 'rm -f "$answer"' EXIT

for file in "$@"; do
    if [ ! -r "$file" ] || [ ! -f "$file" ]; then
        echo "$file: there is no such file, or it can't be read" >&2
        code=2
        continue
    fi
    # The body is the submission alone: nothing in it can change the request around it.
    status="$(
        curl --silent --show-error --max-time 60 --output "$answer" --write-out '%{http_code}' \
            --header "Content-Type: application/json" \
            ${GRADIENT_KEY:+--header "Authorization: Bearer $GRADIENT_KEY"} \
            --data-binary @- "$url/v1/grade?task=$task&format=coursera" < "$file"
    )" || status=000
    if [ "$status" = 000 ]; then
        echo "$file: the service at $url can't be reached" >&2
        exit 2
    fi
    share="$(sed -n 's/.*"fractionalScore": *\([0-9.eE-]*\).*/\1/p' "$answer")"
    echo "$file: $share"
    # A line of its own for each file, though the answer ends without one.
    { cat "$answer"; echo; } | sed -n 's/.*"feedback": *"\(.*\)","feedbackType".*/\1/p' |
        sed -e 's/\\n/\n/g' -e 's/\\"/"/g' | sed 's/^/    /'
    if [ "$status" != 200 ]; then
        code=2
    elif [ "$code" -eq 0 ] && [ "$share" != 1.0 ] && [ "$share" != 1 ]; then
        code=1
    fi
done
exit "$code"
