// The edit page: the price while typing. The same numbers come with the review page, where scripts are not needed.
const form = document.querySelector("form[data-quote]");
const add = form?.elements.add;
const price = document.getElementById("live-price");
const total = document.getElementById("new-total");
let latest = 0;
let timer;

async function work() {
  const seats = Number(add.value);
  if (!add.value || !add.checkValidity() || !Number.isInteger(seats)) return (price.textContent = "");
  total.textContent = new Intl.NumberFormat(document.documentElement.dataset.region).format(Number(form.dataset.seats) + seats);
  const turn = ++latest;
  const answer = await fetch(`${form.dataset.quote}?add=${seats}`, { headers: { accept: "application/json" } }).catch(() => null);
  if (turn !== latest) return;
  price.textContent = answer?.ok ? (await answer.json()).text : "";
}

add?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(work, 300);
});
