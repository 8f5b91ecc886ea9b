#!/usr/bin/env bash
# PrairieLearn's entry point: what the student wrote is in student/, this folder is tests/, and
# results/results.json is what comes out. There is no network, and none is needed.
set -uo pipefail

root="${GRADE_ROOT:-/grade}"
mkdir -p "$root/results"

gradient-service grade "$root/tests/task.json" "$root/student/submission.json" \
    --format prairielearn --output "$root/results/results.json"
code=$?

# 1: the task is wrong, and the document says so. 2: there was no file to grade.
if [ "$code" -eq 2 ]; then
    printf '{"gradable": false, "format_errors": ["submission.json is missing"]}\n' \
        > "$root/results/results.json"
fi
exit 0
