# Stands in for the package JSON3 where Julia's package server can't be reached: reading and
# writing of what the examples send and get.
module JSON3

struct Object
    members::Dict{Symbol,Any}
end

Base.getproperty(object::Object, name::Symbol) = getfield(object, :members)[name]
Base.show(io::IO, object::Object) = print(io, write(getfield(object, :members)))

write(x::Real) = string(x)
write(x::AbstractString) = "\"" * escape_string(x) * "\""
write(x::AbstractVector) = "[" * join(map(write, x), ",") * "]"
write(x::NamedTuple) = members(pairs(x))
write(x::Dict) = members(sort(collect(x); by = first))
write(x::Object) = write(getfield(x, :members))

members(all) = "{" * join(("\"$name\":" * write(value) for (name, value) in all), ",") * "}"

function read(bytes::Vector{UInt8})
    value, _ = parsed(String(copy(bytes)), 1)
    return value
end

const NUMBER = r"-?\d+(\.\d+)?([eE][-+]?\d+)?"
const WORDS = ["true" => true, "false" => false, "null" => nothing]

function parsed(text, at)
    at = blank(text, at)
    if text[at] == '{'
        found = Dict{Symbol,Any}()
        at = each(text, at, '}') do at
            name, at = parsed(text, at)
            found[Symbol(name)], at = parsed(text, blank(text, at) + 1)
            at
        end
        return Object(found), at
    elseif text[at] == '['
        items = Any[]
        at = each(text, at, ']') do at
            item, at = parsed(text, at)
            push!(items, item)
            at
        end
        return items, at
    elseif text[at] == '"'
        found = match(r"\"((?:[^\"\\]|\\.)*)\"", text, at)
        return unescape_string(found[1]), at + ncodeunits(found.match)
    end
    for (word, value) in WORDS
        startswith(SubString(text, at), word) && return value, at + length(word)
    end
    found = match(NUMBER, text, at)
    return parse(Float64, found.match), at + length(found.match)
end

blank(text, at) = findnext(c -> !isspace(c), text, at)

# Calls `take` at every member of a list or object, up to its closing sign.
function each(take, text, at, closing)
    at = blank(text, at + 1)
    while text[at] != closing
        text[at] == ',' && (at += 1)
        at = blank(text, take(at))
    end
    return at + 1
end

end
