// The waiting page: asks every few seconds whether a seat is ready, says so, and goes on by itself if the person wants that.
// Works through every proxy (plain GET), slows down when hidden or when the gate is in trouble, never moves the focus.
const page = document.querySelector("[data-wait]");
const status = document.getElementById("wait-status");
const auto = document.getElementById("auto");
const say = page.dataset;
const LOOP_MS = 60_000;
const began = Date.now();
let state = say.wait;
let failures = 0;
let asking = false;
let timer;
let countdown;

const recently = () => Date.now() - Number(sessionStorage.getItem("sso-gate-continued") ?? 0) < LOOP_MS;

function pause(retryAfter) {
  if (failures) return Math.max(retryAfter, Math.min(60, 3 * 2 ** failures)) * 1000;
  const normal = document.hidden ? 15 : Date.now() - began < 120_000 ? 3 : 10;
  return Math.max(retryAfter, normal) * 1000;
}

async function ask() {
  if (asking || state === "held" || state === "declined" || state === "expired") return;
  asking = true;
  clearTimeout(timer);
  let retryAfter = 0;
  try {
    const answer = await fetch(say.url, { headers: { accept: "application/json" }, cache: "no-cache" });
    retryAfter = Number(answer.headers.get("retry-after")) || 0;
    if (answer.status === 404) show({ state: "expired" });
    else if (!answer.ok) throw new Error(answer.status);
    else {
      const told = await answer.json();
      retryAfter = Math.max(retryAfter, Number(told.retry_after) || 0);
      show(told);
    }
    failures = 0;
  } catch {
    failures += 1;
  }
  asking = false;
  timer = setTimeout(ask, pause(retryAfter));
}

function show(told) {
  if (told.state === state) return;
  state = told.state;
  if (state === "held") ready(told.continue_url);
  if (state === "declined") status.textContent = say.declined;
  if (state === "expired") status.textContent = say.expired;
}

function ready(url) {
  const target = new URL(url, location.href);
  if (target.origin !== location.origin) return;
  document.title = "✓ " + say.ready;
  document.getElementById("wait-title").textContent = say.ready;
  const link = document.getElementById("continue");
  link.href = target.href;
  link.parentElement.hidden = false;
  for (const element of document.querySelectorAll("[data-until-ready]")) element.hidden = true;
  auto.checked ? count(5, link) : (status.textContent = say.ready);
}

function count(left, link) {
  if (!auto.checked) status.textContent = say.ready;
  else if (left === 0) {
    sessionStorage.setItem("sso-gate-continued", String(Date.now()));
    location.assign(link.href);
  } else {
    if (left === 5) status.textContent = say.counting.replace("{n}", left);
    countdown = setTimeout(count, 1000, left - 1, link);
  }
}

if (page) {
  auto.closest("[hidden]").hidden = false;
  auto.checked = !recently();
  auto.addEventListener("change", () => {
    clearTimeout(countdown);
    if (state === "held") count(5, document.getElementById("continue"));
  });
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  if (state === "held") count(5, document.getElementById("continue"));
  else {
    status.textContent = say.checking;
    timer = setTimeout(ask, pause(0));
  }
}
