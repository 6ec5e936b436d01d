// The keyboard. Letters do nothing while something is being typed.
function startKeys({ toggleTheme, toggleFlag }) {
  const help = byId("help"), search = byId("filter-text"), last = () => shownStep(shownCount() - 1);
  const openPrompts = () => { const box = byId("prompts"); if (box) { box.open = !box.open; box.firstElementChild.focus(); } };
  const actions = {
    j: () => moveBy(1), k: () => moveBy(-1), n: () => moveToWrong(1), p: () => moveToWrong(-1),
    g: () => choose(shownStep(0), "list"), G: () => choose(last(), "list"),
    w: () => toggleFlag("wrong"), f: () => toggleFlag("failed"), e: () => toggleFlag("guard"),
    "/": () => { search.scrollIntoView({ block: "center" }); search.focus(); }, o: openPrompts, t: toggleTheme, "?": () => help.showModal(),
  };
  byId("help-open").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "Escape" && typing) {
      event.preventDefault(); // browsers empty a search field on Escape without saying so
      event.target.blur();
      byId("list").focus();
      return;
    }
    if (typing) return;
    const inList = event.target === byId("list"), arrows = { ArrowDown: "j", ArrowUp: "k", Home: "g", End: "G" };
    const action = actions[inList && arrows[event.key] ? arrows[event.key] : event.key];
    if (!action || (event.key.length > 1 && !inList)) return;
    event.preventDefault();
    action();
    if ("jknpgG".includes(event.key)) byId("steps").scrollIntoView({ block: "nearest" });
  });
}
