// Opening the page: columns first, charts next, texts when they are asked for.
async function main() {
  const toggleTheme = startTheme();
  await openData();
  startWalk();
  startTimeline();
  startList();
  startDetail();
  const toggleFlag = startFilter(listChanged);
  startKeys({ toggleTheme, toggleFlag });
  keepDrawn(byId("learning"), drawLearning);
  keepDrawn(byId("cost"), drawCost);
  keepDrawn(byId("lengths"), drawLengths);
  preparePrint();
  const first = HEAD.walks.find((walk) => walk.length && HEAD.arms[walk.arm].role === "arm") || HEAD.walks.find((walk) => walk.length);
  const asked = Number((location.hash.match(/^#step-(\d+)$/) || [])[1] ?? NaN); // a link to one step
  choose(asked < HEAD.steps ? asked : first.offset + first.length - 1, "start");
  onChoice(() => history.replaceState(null, "", `#step-${chosen.step}`));
  document.documentElement.dataset.ready = "yes";
}
// Charts are drawn in pixels: for paper they are drawn again, as wide as the paper.
function preparePrint() {
  const draw = () => { drawLearning(); drawCost(); drawLengths(); drawTimeline(); };
  addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll(".open-on-paper")) box.open = true;
    document.querySelector("main").style.width = "680px";
    draw();
  });
  addEventListener("afterprint", () => { document.querySelector("main").style.width = ""; draw(); });
}

main().catch((error) => {
  document.querySelector("main").prepend(h("p", { class: "warning", role: "alert" }, `This page could not open its data: ${error}`));
  throw error;
});
