// On every page: times in the reader's zone, copy buttons, and the error summary in focus. Nothing here is needed to get on.
const region = document.documentElement.dataset.region;
const full = { dateStyle: "medium", timeStyle: "short" };
for (const element of document.querySelectorAll("time[data-local]")) {
  const instant = new Date(element.dateTime);
  const options = element.dataset.local === "time" ? { timeStyle: "short" } : full;
  element.title = element.textContent;
  element.textContent = new Intl.DateTimeFormat(region, options).format(instant);
}
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.parentElement.querySelector("[role=status]").textContent = button.dataset.copied;
  });
}
document.getElementById("error-summary")?.focus();
