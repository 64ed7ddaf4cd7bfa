// Makes an open page show what changed: a word of the server, and the same page is fetched again; of it, only what is marked is
// replaced. Without this, every page works all the same.
"use strict";

let isFetching = false;
let isAskedAgain = false;

async function refresh() {
  if (document.hidden || isFetching) {
    isAskedAgain = true;
    return;
  }
  [isFetching, isAskedAgain] = [true, false];
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.ok && !answer.redirected) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    // The daemon is away for a moment; its next word comes when it is back.
  } finally {
    isFetching = false;
    if (isAskedAgain) setTimeout(refresh, 1000);
  }
}

function replace(page) {
  for (const place of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(place.id);
    // Whoever is typing, or has opened a menu, is not disturbed.
    const focus = place.contains(document.activeElement) ? document.activeElement : null;
    if (!fresh || fresh.innerHTML === place.innerHTML || focus?.matches("input")) continue;
    place.innerHTML = fresh.innerHTML;
    if (focus?.id) document.getElementById(focus.id)?.focus();
  }
}

if (document.querySelector("[data-live]")) {
  new EventSource("/live").addEventListener("message", refresh);
  // Times that are told as “3 min ago” grow old.
  setInterval(refresh, 30000);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    // Over plain http from another machine browsers have no clipboard: the text is marked, ready for Ctrl+C.
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } else {
      getSelection().selectAllChildren(text);
      button.textContent = "Press Ctrl+C";
    }
  });
}
