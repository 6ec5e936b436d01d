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
  addEventListener("beforeprint", () => { byId("settings").open = true; });
  const first = HEAD.walks.find((walk) => walk.length && HEAD.arms[walk.arm].role === "arm") || HEAD.walks.find((walk) => walk.length);
  choose(first.offset + first.length - 1, "start");
  document.documentElement.dataset.ready = "yes";
}
main().catch((error) => {
  document.querySelector("main").prepend(h("p", { class: "warning", role: "alert" }, `This page could not open its data: ${error}`));
  throw error;
});
