-- Quarto's theorems, callouts, captions, equation numbers and cross-references, for plain pandoc.
-- What does not resolve is a warning here; tools/site.py lets no warning pass.
local names = {thm='Theorem', lem='Lemma', cor='Corollary', prp='Proposition', cnj='Conjecture', def='Definition',
  exm='Example', exr='Exercise', rem='Remark', alg='Algorithm', fig='Figure', tbl='Table', eq='Equation', sec='Section'}
local asides = {proof='Proof', remark='Remark', solution='Solution'}
local float = {fig=true, tbl=true}
local callouts = {note=true, tip=true, warning=true, important=true, caution=true}
local refs, counts, api = {}, {}, {}
local text = pandoc.utils.stringify

local function kind(id)
  local k = id:match('^(%l+)%-')
  return names[k] and k
end

local function number(id)                 -- registers a label, in the order of the page
  local k = kind(id)
  if refs[id] then pandoc.log.warn('label '..id..' is used twice') end
  counts[k] = (counts[k] or 0) + 1
  refs[id] = {kind = names[k], number = tostring(counts[k])}
  return names[k]..' '..counts[k]
end

local function title(div)                 -- a leading header is the title, as in Quarto; else an attribute
  local first = div.content[1]
  if first and first.t == 'Header' then
    div.content:remove(1)
    return first.content
  end
  local given = div.attributes.title or div.attributes.name
  div.attributes.title, div.attributes.name = nil, nil
  return given and pandoc.Inlines(given)
end

local function lead(div, inlines)         -- put `inlines` at the start of the first paragraph
  local p = div.content[1]
  if p and (p.t == 'Para' or p.t == 'Plain') then
    p.content = inlines .. {pandoc.Space()} .. p.content
  else
    div.content:insert(1, pandoc.Para(inlines))
  end
end

local function theorem(div)
  local head, name = pandoc.Inlines{pandoc.Strong(number(div.identifier))}, title(div)
  if name then head = head .. {pandoc.Str(' (')} .. name .. {pandoc.Str(')')} end
  lead(div, pandoc.Inlines{pandoc.Span(head, {class='theorem-title'})})
  div.classes:insert('theorem')
  return div
end

local function caption(id, inlines)
  return pandoc.Inlines{pandoc.Span(number(id)..': ', {class='caption-label'})} .. inlines
end

local function figure(div)                -- the last paragraph is the caption
  local last = div.content[#div.content]
  local words = pandoc.Inlines{}
  if #div.content > 1 and last.t == 'Para' then
    words = last.content
    div.content:remove(#div.content)
  end
  local class = kind(div.identifier) == 'tbl' and 'table' or 'figure'
  return pandoc.Figure(div.content, {pandoc.Plain(caption(div.identifier, words))}, {id=div.identifier, class=class})
end

local function callout(div, class)
  local name = title(div) or pandoc.Inlines((class:sub(9):gsub('^%l', string.upper)))
  local collapse = div.attributes.collapse
  div.attributes.collapse, div.attributes.icon, div.attributes.appearance = nil, nil, nil
  div.classes:insert('callout')
  if not collapse then
    div.content:insert(1, pandoc.Div(pandoc.Plain(name), {class='callout-title'}))
    return div
  end
  local open = collapse == 'false' and ' open' or ''
  return {pandoc.RawBlock('html', '<details class="callout '..class..'"'..open..'><summary class="callout-title">'),
    pandoc.Plain(name), pandoc.RawBlock('html', '</summary>'), pandoc.Div(div.content),
    pandoc.RawBlock('html', '</details>')}
end

local function Div(div)
  local k = kind(div.identifier)
  if float[k] then return figure(div) end
  if k and k ~= 'sec' and k ~= 'eq' then return theorem(div) end
  for class, name in pairs(asides) do
    if div.classes:includes(class) then
      local given = title(div)
      lead(div, pandoc.Inlines{pandoc.Emph(given and pandoc.Inlines{pandoc.Str(name..' (')} .. given .. {pandoc.Str(').')}
        or name..'.')})
      return div
    end
  end
  local class = div.classes:find_if(function(c) return callouts[c:match('^callout%-(%l+)$') or ''] end)
  if class then return callout(div, class) end
end

local function Figure(fig)
  if kind(fig.identifier) == 'fig' and fig.caption.long[1] then
    fig.caption.long[1].content = caption(fig.identifier, fig.caption.long[1].content)
    return fig
  end
end

local function Table(tbl)                 -- `: Caption {#tbl-x}`
  local block = tbl.caption.long[1]
  local words = block and block.content or pandoc.Inlines{}
  for i = #words, 1, -1 do
    local id = words[i].t == 'Str' and words[i].text:match('^{#(tbl%-[%w_-]+)')
    if id then
      for _ = i, #words do words:remove(i) end
      if words[i-1] and words[i-1].t == 'Space' then words:remove(i-1) end
      tbl.attr.identifier = id
      break
    end
  end
  if kind(tbl.attr.identifier) == 'tbl' and block then
    block.content = caption(tbl.attr.identifier, words)
    return tbl
  end
end

local function Header(h)
  if h.classes:includes('api') then
    h.identifier, h.attributes.name = h.attributes.name, nil
  elseif api[h.identifier] then
    h.identifier = h.identifier..'-section'   -- the name of a function keeps its own anchor
  end
  if kind(h.identifier) == 'sec' then
    number(h.identifier)
    refs[h.identifier].title = text(h.content)
  end
  return h
end

local function Inlines(xs)                -- $$ … $$ {#eq-x}
  for i = #xs, 1, -1 do
    local id, rest
    if xs[i] and xs[i].t == 'Str' then id, rest = xs[i].text:match('^{#(eq%-[%w_-]+)}(.*)$') end
    local j = i - 1
    while id and j > 0 and (xs[j].t == 'Space' or xs[j].t == 'SoftBreak') do j = j - 1 end
    if id and j > 0 and xs[j].t == 'Math' then
      xs[j] = pandoc.Span({xs[j], pandoc.Span(id, {class='eqno'})}, {id=id, class='equation'})
      for _ = j + 1, i do xs:remove(j + 1) end
      if rest ~= '' then xs:insert(j + 1, pandoc.Str(rest)) end
    end
  end
  return xs
end

local function Span(span)                 -- equations get their numbers in the order of the page
  if span.classes:includes('equation') and kind(span.identifier) == 'eq' then
    number(span.identifier)
    span.content[2] = pandoc.Span('('..refs[span.identifier].number..')', {class='eqno'})
    return span
  end
end

local function label(c)
  local r = refs[c.id]
  if c.mode == 'SuppressAuthor' then return r.number end
  if r.title then return 'Section “'..r.title..'”' end
  local word = #c.prefix > 0 and text(c.prefix) or r.kind
  return word..'\u{a0}'..(r.kind == 'Equation' and '('..r.number..')' or r.number)
end

local function Cite(cite)
  local out, found = pandoc.Inlines{}, 0
  for i, c in ipairs(cite.citations) do
    if kind(c.id) then
      found = found + 1
      if i > 1 then out:insert(pandoc.Str(', ')) end
      if refs[c.id] then
        out:insert(pandoc.Link(label(c), '#'..c.id, '', {class='xref'}))
        out:extend(c.suffix)
      else
        pandoc.log.warn('cross-reference @'..c.id..' has no label on this page; to another page write a link, '
          ..'[text](../room/name.html#'..c.id..')')
      end
    end
  end
  if found > 0 and found < #cite.citations then
    pandoc.log.warn('citation and cross-reference in one bracket: '..text(cite.content))
  end
  if found > 0 then return out end
end

local function Str(s)
  if s.text:match('^{{<') then pandoc.log.warn('shortcode '..s.text..' is known to Quarto only') end
  if s.text:match('^{#%l+%-') then pandoc.log.warn('label '..s.text..' is attached to nothing') end
end

function Pandoc(doc)
  doc:walk{Header = function(h) if h.classes:includes('api') then api[h.attributes.name] = true end end}
  doc = doc:walk{Inlines = Inlines}
  doc = doc:walk{traverse = 'topdown', Div = Div, Figure = Figure, Table = Table, Header = Header, Span = Span}
  return doc:walk{Cite = Cite, Str = Str}
end
