-- The last word of each name: the end of the lease (20 digits), the member's id (16), its bytes. By the clock of the server that took
-- it: after a fail-over to one whose clock is another's, who is missing shows earlier or later. It is for people.
local WORD_ID, WORD_BYTES = 21, 37

local function word_ends(word)
  return tonumber(string.sub(word, 1, WORD_ID - 1))
end
