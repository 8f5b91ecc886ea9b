# Stands in for the package HTTP where Julia's package server can't be reached: one POST.
module HTTP

using Sockets

struct Response
    status::Int
    body::Vector{UInt8}
end

function post(url, headers, body; retries = 0, status_exception = true)
    host, port, path = match(r"^http://([^:/]+):(\d+)(/.*)$", url).captures
    connection = connect(String(host), parse(Int, port))
    write(connection, "POST $path HTTP/1.1\r\nhost: $host\r\nconnection: close\r\n")
    for (name, value) in headers
        write(connection, "$name: $value\r\n")
    end
    write(connection, "content-length: $(sizeof(body))\r\n\r\n", body)
    head, content = split(String(read(connection)), "\r\n\r\n"; limit = 2)
    status = parse(Int, split(head)[2])
    status_exception && status >= 300 && error("the answer is $status")
    return Response(status, Vector{UInt8}(content))
end

end
