-- fileserver.lua -- a directory over HTTP/1.1.
--
--   poe examples/fileserver.lua [directory [port [address [patience]]]]
--
-- It prints the port it listens on, then a line for each request. GET and HEAD,
-- connections that stay open, requests that come before the answer to the last
-- one, ranges, If-Modified-Since. A directory is its index.html.
--
-- Nothing outside the directory can be read: a name is looked up from the
-- directory before it, and no symbolic link is followed; names that begin with a
-- dot are hidden. A file of any size takes a quarter of a megabyte: more of it is
-- read when the client has taken some. A client has `patience`, half a minute, to
-- ask for something, and to take anything. On SIGINT the door is closed, and what
-- is under way is finished.

local Httpd = require "poe.filter.httpd"
local ReadWrite = require "poe.wheel.readwrite"
local Response = require "poe.http.response"
local SocketFactory = require "poe.wheel.socketfactory"
local poe = require "poe"
local sys = require "poe.sys"

io.stdout:setvbuf "line"

local directory, port, address, patience = ...

local PATIENCE = tonumber(patience) or 30 -- seconds
local LINGER = 5 -- seconds in which a client may close after the last answer
local BLOCK = 65536
local MOST_CLIENTS = math.min(1024, (sys.getrlimit "nofile" - 32) // 2)

local TYPES = {
  css = "text/css", csv = "text/csv", gif = "image/gif", html = "text/html",
  jpg = "image/jpeg", js = "text/javascript", json = "application/json",
  lua = "text/plain", md = "text/markdown", pdf = "application/pdf",
  png = "image/png", svg = "image/svg+xml", txt = "text/plain",
  wasm = "application/wasm", webp = "image/webp", xml = "application/xml",
}

local root = assert(sys.open(directory or ".", "r,directory"))

-- ---- files ----------------------------------------------------------------------

--- The names on the way to a file, "" at the end for a directory; nil if there
--- is one among them that nobody may ask for.
local function split(uri)
  local path = uri:gsub("^%a+://[^/?]*", ""):gsub("?.*", "")
  local names = {}
  for name in path:gmatch "/([^/]*)" do
    name = name:gsub("%%(%x%x)", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    if name:find "^%." or name:find "[/\0]" then return nil end
    names[#names + 1] = name
  end
  return names[1] and names
end

--- Opens a name in an open directory, and nowhere else.
local function open_in(parent, name, flags)
  return sys.open(("/proc/self/fd/%d/%s"):format(parent:fileno(), name),
    flags .. ",nofollow")
end

--- The file and what stat says of it; nil and a status.
local function open(names)
  local at = root
  for i = 1, #names - 1 do
    local child = open_in(at, names[i], "r,directory")
    if at ~= root then at:close() end
    if not child then return nil, 404 end
    at = child
  end
  local last = names[#names]
  local file = open_in(at, last == "" and "index.html" or last, "r")
  if at ~= root then at:close() end
  local info = file and sys.stat(file)
  if info and info.type == "file" then return file, info end
  if file then file:close() end
  return nil, info and info.type == "directory" and 301 or 404
end

--- The first and the last byte that are wanted; nil for all of them; false if
--- there are none of those.
local function parse_range(range, size)
  local first, last = (range or ""):match "^bytes=(%d*)%-(%d*)$"
  if not first or first == "" and last == "" or #first > 15 or #last > 15 then
    return nil
  end
  first, last = tonumber(first), tonumber(last)
  if not first then first, last = math.max(0, size - last), size - 1 end
  last = math.min(last or size, size - 1)
  return first <= last and first, last
end

-- ---- answers --------------------------------------------------------------------

local function http_date(time)
  return os.date("!%a, %d %b %Y %H:%M:%S GMT", time // 1 | 0)
end

--- A short answer in plain text.
local function say(request, status, headers)
  local response = Response.new { status = status, request = request,
    headers = headers }
  response.headers:set("Content-Type", "text/plain")
  response.body = ("%d %s\n"):format(status, response.reason)
  return response
end

local function headers_of(name, info)
  return {
    ["Content-Type"] = TYPES[name:match "%.(%w+)$" or "html"]
      or "application/octet-stream",
    ["X-Content-Type-Options"] = "nosniff",
    ["Last-Modified"] = http_date(info.mtime),
    ["Accept-Ranges"] = "bytes",
  }
end

--- The answer, and where in the file its body begins and how long it is.
local function answer_with(request, headers, size)
  local modified = headers["Last-Modified"]
  if request:header "If-Modified-Since" == modified then
    return Response.new { status = 304, request = request, headers = headers }
  end
  local first, last = parse_range(request:header "Range", size)
  local only_if = request:header "If-Range"
  if only_if and only_if ~= modified then first = nil end
  if first == false then
    return say(request, 416, { ["Content-Range"] = ("bytes */%d"):format(size) })
  elseif first then
    headers["Content-Range"] = ("bytes %d-%d/%d"):format(first, last, size)
  end
  local length = first and last - first + 1 or size
  headers["Content-Length"] = length
  return Response.new { status = first and 206 or 200, request = request,
    headers = headers }, first or 0, length
end

--- The answer to a request; the file, if its body is to be sent from there, and
--- how much of it.
local function answer(request)
  if request.method ~= "GET" and request.method ~= "HEAD" then
    return say(request, 405, { Allow = "GET, HEAD" })
  end
  local names = split(request.uri)
  if not names then return say(request, 404) end
  local file, info = open(names)
  if info == 301 then
    return say(request, 301, {
      Location = request.uri:gsub("^/+", "/"):gsub("?.*", "") .. "/" })
  elseif not file then
    return say(request, info)
  end
  local response, first, length =
    answer_with(request, headers_of(names[#names], info), info.size)
  if length and request.method == "GET" and file:seek("set", first) then
    return response, file, length
  end
  file:close()
  return response
end

-- ---- clients --------------------------------------------------------------------

local Client = {}

function Client._start(kernel, heap, socket)
  heap.wheel = ReadWrite.new {
    handle = socket, filter = Httpd.new(), input_event = "on_request",
    error_event = "on_error", flushed_event = "on_flushed",
    low_event = "send_more", high_mark = 4 * BLOCK, low_mark = BLOCK,
    stall_timeout = PATIENCE,
  }
  kernel:delay("leave", PATIENCE)
end

--- The end of the session: it has nothing more to wait for.
function Client.leave(kernel, heap)
  kernel:delay "leave"
  heap.wheel:destroy()
  if heap.file then heap.file:close() end
end

--- No more requests. The client is to close first, so that it gets the answer.
local function finish(kernel, heap)
  heap.is_finished = true
  heap.wheel:shutdown_output()
  kernel:delay("leave", LINGER)
end

local function next_request(kernel, heap)
  if heap.is_last then return finish(kernel, heap) end
  heap.wheel:resume_input()
  kernel:delay("leave", PATIENCE)
end

--- As much of the file as the wheel likes to have.
function Client.send_more(kernel, heap)
  while heap.file do
    local bytes = heap.file:read(math.min(heap.left, BLOCK))
    if not bytes or bytes == "" and heap.left > 0 then
      return Client.leave(kernel, heap) -- it is shorter now: say no more
    end
    heap.left = heap.left - #bytes
    local is_high = heap.wheel:put(bytes)
    if heap.left == 0 then
      heap.file:close()
      heap.file = nil
      return next_request(kernel, heap)
    elseif is_high then
      return
    end
  end
end

function Client.on_request(kernel, heap, request)
  if heap.is_finished then return end
  local response = request
  if not request.status then
    heap.is_last = heap.is_last or not request.keep_alive
    response, heap.file, heap.left = answer(request)
    response.keep_alive = not heap.is_last
    response.headers:set("Date", http_date(os.time()))
    print(("%s %s %d"):format(request.method, request.uri, response.status))
  elseif request.status >= 400 then
    heap.is_last = true
    print(("bad request %d"):format(request.status))
  end
  heap.wheel:put(response)
  if heap.file then
    heap.wheel:pause_input()
    kernel:delay "leave"
    kernel:yield "send_more"
  elseif response.status >= 200 then
    next_request(kernel, heap)
  end
end

--- The client says no more, or is gone.
function Client.on_error(kernel, heap, operation, code)
  heap.is_last, heap.has_left = true, true
  if operation ~= "read" or code ~= 0 then return Client.leave(kernel, heap) end
  if not heap.file then finish(kernel, heap) end
  Client.on_flushed(kernel, heap)
end

function Client.on_flushed(kernel, heap)
  if heap.is_finished and heap.has_left and
    heap.wheel:get_driver_out_octets() == 0 then
    Client.leave(kernel, heap)
  end
end

--- The server closes: after the answer that is under way.
function Client.close(kernel, heap)
  heap.is_last = true
  if heap.file then return end
  if heap.wheel:get_driver_out_octets() == 0 then
    Client.leave(kernel, heap)
  elseif not heap.is_finished then
    finish(kernel, heap)
  end
end

-- ---- the server -------------------------------------------------------------------

local Server = {}

function Server._start(kernel, heap)
  heap.clients, heap.served = 0, 0
  heap.wheel = SocketFactory.new {
    bind_address = address, bind_port = tonumber(port) or 0, reuse = true,
    success_event = "on_client", failure_event = "on_failure",
  }
  kernel:sig("INT", "on_interrupt")
  local _, bound_port = heap.wheel:getsockname()
  if bound_port then print("listening on port " .. bound_port) end
end

function Server.on_client(_, heap, socket)
  heap.clients, heap.served = heap.clients + 1, heap.served + 1
  poe.session.create { inline_states = Client, args = { socket } }
  if heap.clients >= MOST_CLIENTS then heap.wheel:pause_accept() end
end

function Server._child(_, heap, what)
  if what ~= "lose" then return end
  heap.clients = heap.clients - 1
  if heap.wheel then heap.wheel:resume_accept() end
end

function Server.on_failure(kernel, heap, _, _, message)
  io.stderr:write(message, "\n")
  Server.on_interrupt(kernel, heap)
end

function Server.on_interrupt(kernel, heap)
  kernel:sig_handled()
  kernel:sig "INT" -- a second one ends the program the hard way
  heap.wheel:destroy()
  heap.wheel = nil
  for _, client in ipairs(kernel:get_children(kernel.session)) do
    kernel:post(client, "close")
  end
end

function Server._stop(_, heap)
  print(("served %d clients"):format(heap.served))
end

poe.session.create { inline_states = Server }

poe.run()
