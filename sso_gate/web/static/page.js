// On every page: times in the reader's zone, copy buttons, and the error summary in focus. Nothing here is needed to get on.
const region = document.documentElement.dataset.region;
const forms = { time: { timeStyle: "short" }, seconds: { timeStyle: "medium" }, "": { dateStyle: "medium", timeStyle: "short" } };
for (const element of document.querySelectorAll("time[data-local]")) {
  const instant = new Date(element.dateTime);
  element.title = element.textContent;
  element.textContent = new Intl.DateTimeFormat(region, forms[element.dataset.local]).format(instant);
}
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.parentElement.querySelector("[role=status]").textContent = button.dataset.copied;
  });
}
for (const link of document.querySelectorAll("a[data-with]")) {
  link.addEventListener("click", () => {
    const field = document.getElementById(link.dataset.with), target = new URL(link.href);
    target.searchParams.set(field.name, field.value);
    link.href = target.href;
  });
}
const country = document.querySelector("select[data-names]");
country?.addEventListener("change", () => {
  const names = JSON.parse(country.dataset.names);
  document.querySelector("label[for=tax_id]").textContent = names[country.value] ?? country.dataset.other;
});
const live = document.getElementById("live");
const looking = live?.dataset.live === "running" && setInterval(async () => {
  const answer = await fetch(location.href, { redirect: "manual" });
  const fresh = new DOMParser().parseFromString(answer.ok ? await answer.text() : "", "text/html");
  const state = fresh.getElementById("live")?.dataset.live;
  if (state) live.replaceChildren(...fresh.getElementById("live").childNodes);
  if (state === "running") return;
  clearInterval(looking);
  if (state) document.getElementById("live-said").textContent = fresh.getElementById("live-said").textContent;
}, 3000);
document.getElementById("error-summary")?.focus();
