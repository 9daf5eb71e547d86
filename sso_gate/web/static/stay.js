// Before a session ends: a warning two minutes ahead, and a button that makes it last. The page stays as it is, whatever was typed.
const stay = document.getElementById("stay");
const WARN_MS = 120_000;
const [longer, close] = stay?.querySelectorAll("button") ?? [];
const anew = stay?.querySelector("a");
let timers = [];

function plan(left, last) {
  timers.forEach(clearTimeout);
  const end = left * 1000;
  timers = [later(() => warn(last), Math.max(end - WARN_MS, end / 2)), later(over, end)];
}

function later(work, wait) {
  return wait < 2 ** 31 ? setTimeout(work, wait) : 0; // a timer holds 24 days
}

function warn(last) {
  for (const element of [longer, document.getElementById("stay-longer")]) element.hidden = last;
  for (const element of [anew, document.getElementById("stay-anew")]) element.hidden = !last;
  if (!stay.open) stay.showModal();
}

function over() {
  const title = document.getElementById("stay-title");
  title.textContent = title.dataset.over;
  warn(true);
}

async function extend() {
  const body = new URLSearchParams();
  const answer = await fetch("/session", { method: "POST", body, headers: { accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return answer?.status === 404 ? over() : warn(true);
  const told = await answer.json();
  stay.close();
  plan(told.left, !told.extends);
}

if (stay) {
  longer.form.addEventListener("submit", (event) => (event.preventDefault(), extend()));
  close.addEventListener("click", () => stay.close());
  plan(Number(stay.dataset.left), "last" in stay.dataset);
}
