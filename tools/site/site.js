// Mathematics, light and dark, folded code, the list of pages on narrow screens, the place on the page, search.
const $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
const script = document.currentScript ?? $("script[data-root]"), root = script.dataset.root;

// No line begins with the full stop behind a short formula.
const whole = (made, length) => {
  const rest = made.nextSibling, mark = rest?.nodeType === 3 && /^[.,;:!?)\]]+/.exec(rest.textContent)?.[0];
  if (!mark || length > 40) return;
  const both = document.createElement("span");
  both.className = "whole";
  made.replaceWith(both);
  both.append(made, mark);
  rest.textContent = rest.textContent.slice(mark.length);
};
// MathML is what the page holds; where KaTeX is served, it draws the same TeX more beautifully.
if (window.katex) for (const m of $$("math")) {
  const tex = $("annotation", m)?.textContent, made = document.createElement("span");
  if (!tex) continue;
  try {
    katex.render(tex, made, { displayMode: m.getAttribute("display") === "block", throwOnError: true, output: "htmlAndMathml", strict: "ignore" });
    m.replaceWith(made);
    whole(made, tex.length);
  } catch (e) { console.warn(tex, e.message); }
}
// An equation that is wider than its place gets smaller letters, down to about half; then it can be moved.
const fit = () => {
  for (const e of $$("main .katex-display")) {
    e.style.fontSize = "", e.removeAttribute("tabindex");
    const inner = $(".katex", e);
    if (!inner || !e.clientWidth || e.scrollWidth <= e.clientWidth) continue;
    const size = Math.max(0.55, (e.clientWidth - 4) / e.scrollWidth);
    e.style.fontSize = `${size}em`;
    if (e.scrollWidth > e.clientWidth) e.tabIndex = 0;
  }
};
let fitting;
addEventListener("resize", () => { clearTimeout(fitting); fitting = setTimeout(fit, 50); });
document.fonts?.ready.then(fit);
document.addEventListener("toggle", fit, true);

if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();

const keep = (k, v) => { try { localStorage.setItem(k, v); } catch { } };
$(".theme").onclick = () => {
  const html = document.documentElement, dark = html.dataset.theme ? html.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  keep("theme", html.dataset.theme = dark ? "light" : "dark");
};

const menu = $(".menu");
menu.onclick = () => menu.setAttribute("aria-expanded", document.body.classList.toggle("open"));
const current = $("[aria-current]"), pages = $(".pages");
if (current) pages.scrollTop = current.offsetTop - pages.clientHeight / 2;

const folds = $$("details.code-fold"), unfold = $(".unfold");
if (folds.length) {
  const button = $("button", unfold);
  unfold.hidden = false;
  button.onclick = () => {
    const open = button.textContent.startsWith("show");
    folds.forEach(f => f.open = open);
    button.textContent = open ? "hide code" : "show all code";
  };
}
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
};
addEventListener("hashchange", reveal); reveal();

for (const block of $$("pre.sourceCode")) {
  const button = Object.assign(document.createElement("button"), { className: "copy", textContent: "copy", type: "button" });
  button.onclick = async () => { await navigator.clipboard.writeText($("code", block).innerText); button.textContent = "copied"; setTimeout(() => button.textContent = "copy", 1500); };
  if (navigator.clipboard) block.parentElement.append(button);
}

const entries = new Map($$(".toc a").map(a => [decodeURIComponent(a.hash.slice(1)), a]));
if (entries.size) {
  const heads = [...entries.keys()].map(id => document.getElementById(id)).filter(Boolean);
  const mark = () => {
    const at = heads.filter(h => h.getBoundingClientRect().top < 120).pop() ?? heads[0];
    entries.forEach((a, id) => a.classList.toggle("here", id === at?.id));
  };
  addEventListener("scroll", mark, { passive: true }); mark();
}

// Search: Pagefind's index, read from the site itself; browsers read it over http only.
const find = $(".find"), input = $("input", find), hint = $(".hint", find), list = $("ol", find);
let index;
const open = async () => {
  find.showModal(); input.select();
  if (location.protocol === "file:") return void (hint.textContent = "Search needs a web server: python -m http.server -d _docs");
  index ??= await import(new URL(root + "pagefind/pagefind.js", location.href)).catch(() => (hint.textContent = "The search index is missing.", null));
  if (input.value.trim()) input.dispatchEvent(new Event("input"));  // typed before the index was there
};
const item = (hit, part) => {
  const a = document.createElement("a"), p = document.createElement("p"), li = document.createElement("li");
  a.href = part.url; a.textContent = part.title === hit.meta.title ? part.title : `${hit.meta.title} › ${part.title}`;
  p.innerHTML = part.excerpt; li.append(a, p); a.onclick = () => find.close();
  return li;
};
input.oninput = async () => {
  const words = input.value.trim(), answer = words && await index?.debouncedSearch(words, {}, 150);
  if (!words) return list.replaceChildren(), hint.textContent = "";
  if (!answer) return;
  const hits = await Promise.all(answer.results.slice(0, 8).map(r => r.data()));
  if (words !== input.value.trim()) return;
  list.replaceChildren(...hits.flatMap(h => (h.sub_results.length ? h.sub_results.slice(0, 3) : [{ url: h.url, title: h.meta.title, excerpt: h.excerpt }]).map(s => item(h, s))));
  hint.textContent = hits.length ? "" : `Nothing found for “${words}”.`;
};
$("form", find).onsubmit = e => { if (e.submitter === null || e.submitter === undefined) e.preventDefault(); };
input.onkeydown = e => { if (e.key === "Enter") { e.preventDefault(); $("a", list)?.click(); } };
find.onkeydown = e => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[e.key], hits = $$("a", list);
  if (!step || !hits.length) return;
  e.preventDefault();
  const at = hits.indexOf(document.activeElement) + step;
  (at < 0 ? input : hits[Math.min(at, hits.length - 1)]).focus();
};
$(".search").onclick = open;
addEventListener("keydown", e => { if (e.key === "/" && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) { e.preventDefault(); open(); } });
find.onclick = e => { if (e.target === find) find.close(); };
