# Gradients from Julia, with the packages HTTP and JSON3.
using HTTP, JSON3

function gradient(expression, inputs; url = "http://127.0.0.1:8000")
    body = JSON3.write((graph = (; expression), inputs = inputs))
    headers = ["content-type" => "application/json"]
    response = HTTP.post("$url/v1/gradient", headers, body; retries = 4, status_exception = false)
    answer = JSON3.read(response.body)
    response.status == 200 || error(answer.detail)
    return answer
end

answer = gradient("(x + y) * z", (x = -2, y = 5, z = -4))
println(answer.value, " ", answer.gradients)

# Many points in one call: the leading axis of x is the batch.
points = (graph = (expression = "exp(sin(x))",), inputs = (x = collect(0:0.1:1),), batch = true)
response = HTTP.post("http://127.0.0.1:8000/v1/gradient",
    ["content-type" => "application/json"], JSON3.write(points))
println(JSON3.read(response.body).gradients.x)
