# Gradients from R, with the packages httr2 and jsonlite.
library(httr2)

gradient <- function(expression, inputs, url = "http://127.0.0.1:8000") {
  request(paste0(url, "/v1/gradient")) |>
    req_body_json(list(graph = list(expression = expression), inputs = inputs)) |>
    req_retry(max_tries = 5) |>
    req_error(body = \(response) resp_body_json(response, check_type = FALSE)$detail) |>
    req_perform() |>
    resp_body_json()
}

answer <- gradient("(x + y) * z", list(x = -2, y = 5, z = -4))
str(answer$gradients)

# optim() with exact gradients.
valley <- "100 * (y - x ** 2) ** 2 + (1 - x) ** 2"
found <- optim(
  c(-1.2, 1),
  fn = \(p) gradient(valley, list(x = p[1], y = p[2]))$value,
  gr = \(p) unlist(gradient(valley, list(x = p[1], y = p[2]))$gradients[c("x", "y")]),
  method = "BFGS"
)
print(found$par)
