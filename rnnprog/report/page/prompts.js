// The prompts of a step, opened on demand.
function promptsView(i) {
  if (!HEAD.prompts || !has(i, "prompts")) return null;
  const box = h("details", { id: "prompts" }, h("summary", {}, "Prompts as they were sent"));
  box.addEventListener("toggle", async () => {
    if (!box.open || box.childElementCount > 1) return;
    const calls = await stepPrompts(i);
    if (!calls.length) box.append(h("p", { class: "note" }, "Left out of this page to keep it small; it is in the file of prompts."));
    box.append(...calls.flatMap(([phase, prompt, completion]) => [
      h("h3", {}, `${phase || "call"}: sent`), ...messages(prompt).map(([role, text]) => [role && h("p", { class: "note" }, role), h("pre", { tabindex: 0 }, text)]).flat().filter(Boolean),
      h("h3", {}, `${phase || "call"}: received`), h("pre", { tabindex: 0 }, asText(completion)),
    ]));
  });
  return box;
}
const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));
const messages = (prompt) => (Array.isArray(prompt) ? prompt.map((m) => [m.role || "", asText(m.content === undefined ? m : m.content)]) : [["", asText(prompt)]]);
