-- SPDX-License-Identifier: MIT
-- Bytes from and to handles that do not block; what cannot be written at once
-- waits here. POE::Driver::SysRW.
--
-- A handle has read and write as objects of poe.sys have: nil, message, code on
-- failure, "" at the end, write's second argument the byte to begin with.
local options = require "poe.options"

local concat, type = table.concat, type

local BLOCK_SIZE = 65536

---@class poe.driver.sysrw
---@field block_size integer
---@field queue? string[]  from `head` to `tail`; nil until there is something
---@field done integer  bytes of the first one that were written
---@field left integer  bytes of all that were not
local SysRW = { head = 1, tail = 0, done = 0, left = 0 }
SysRW.__index = SysRW
SysRW.__name = "poe.driver.sysrw"

---@class poe.driver.sysrw.options
---@field block_size? integer  read and write so many bytes at once; 65536

local PARAMETERS = { block_size = { "size", default = BLOCK_SIZE } }

-- Not errors: the handle was not ready after all.
local LATER = { EAGAIN = true, EWOULDBLOCK = true, EINTR = true }
SysRW.LATER = LATER

---@param given? poe.driver.sysrw.options
---@return poe.driver.sysrw
function SysRW.new(given)
  local checked = options.check("SysRW.new", given, PARAMETERS)
  return setmetatable({ block_size = checked.block_size }, SysRW)
end

-- ---- reading ----------------------------------------------------------------------

---@param handle poe.sys.fd
---@return string[]? chunks  one; none if there is nothing now; nil at the end
---@return string? message  with nil, unless it is the end
---@return string? code
function SysRW:get(handle)
  local bytes, message, code = handle:read(self.block_size)
  if bytes == "" then return nil end
  if bytes then return { bytes } end
  if LATER[code] then return {} end
  return nil, message, code
end

-- ---- writing ----------------------------------------------------------------------

---@param chunks string[]
---@return integer left  bytes that wait
function SysRW:put(chunks)
  if type(chunks) ~= "table" then options.check_list("put", 1, chunks) end
  local queue, tail, left = self.queue or {}, self.tail, self.left
  for i = 1, #chunks do
    local chunk = chunks[i]
    if type(chunk) ~= "string" then
      options.check_element("put", i, chunk, "string")
    elseif chunk ~= "" then
      tail = tail + 1
      queue[tail] = chunk
      left = left + #chunk
    end
  end
  self.queue, self.tail, self.left = queue, tail, left
  return left
end

--- What the next write gets: chunks are joined up to a block, so that many small
--- ones cost one system call.
local function next_block(self)
  local queue, head = self.queue, self.head
  if head == self.tail then return queue[head] end
  local size, last = #queue[head] - self.done, head
  while last < self.tail and size + #queue[last + 1] <= self.block_size do
    last = last + 1
    size = size + #queue[last]
  end
  if last == head then return queue[head] end
  return concat(queue, "", head, last)
end

--- Drops what was written.
local function advance(self, written)
  local queue, head, done = self.queue, self.head, self.done + written
  self.left = self.left - written
  if head == self.tail and self.left == 0 then
    queue[head] = nil
    self.head, self.tail, self.done = 1, 0, 0
    return
  end
  while head <= self.tail and done >= #queue[head] do
    done = done - #queue[head]
    queue[head] = nil
    head = head + 1
  end
  self.head, self.done = head, done
  if head > self.tail then self.head, self.tail = 1, 0 end
end

--- Writes until all is written, the handle takes no more, or it fails. What was
--- not written stays.
---@param handle poe.sys.fd
---@return integer? left  bytes that wait
---@return string? message
---@return string? code
function SysRW:flush(handle)
  while self.left > 0 do
    local written, message, code = handle:write(next_block(self), self.done + 1)
    if not written and not LATER[code] then return nil, message, code end
    if not written or written == 0 then break end
    advance(self, written)
  end
  return self.left
end

---@return integer octets  bytes that wait
function SysRW:get_out_octets_buffered()
  return self.left
end

---@return integer count  of chunks that wait, in part or all
function SysRW:get_out_messages_buffered()
  return self.tail - self.head + 1
end

return SysRW
