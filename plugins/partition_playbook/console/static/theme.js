// Follow the theme of Airflow's page around the iframe; outside of it, the theme last chosen in Airflow.
const root = document.documentElement;

function outer() {
  try {
    return window.parent === window ? null : window.parent.document.documentElement;
  } catch {
    return null; // another origin: the parent page is not Airflow
  }
}

function chosen() {
  const around = outer();
  if (around) return around.classList.contains("dark") ? "dark" : "light";
  const stored = localStorage.getItem("theme");
  return stored === "dark" || stored === "light" ? stored : "light dark";
}

function follow() {
  root.style.colorScheme = chosen();
}

follow();
const around = outer();
if (around) new MutationObserver(follow).observe(around, { attributeFilter: ["class"] });
addEventListener("storage", follow);
