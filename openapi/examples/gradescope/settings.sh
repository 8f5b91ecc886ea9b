# Where the service is, which task it holds, and the key that may grade (scope "grade": it can
# neither compute gradients nor read the task).
GRADIENT_URL="${GRADIENT_URL:-https://gradients.example.edu}"
GRADIENT_TASK="${GRADIENT_TASK:-staged}"
GRADIENT_KEY="${GRADIENT_KEY:-}"
