// Keys on the pages. Everything works without: each key only does what Tab and Enter do.
"use strict";
(() => {
  const OFF = "reconcile.keys.off";
  const help = document.getElementById("keys");
  const box = document.getElementById("keys-on");
  const store = { get: () => { try { return localStorage.getItem(OFF); } catch { return null; } },
    set: (off) => { try { off ? localStorage.setItem(OFF, "1") : localStorage.removeItem(OFF); } catch { /* not kept */ } } };

  box.checked = !store.get();
  box.addEventListener("change", () => store.set(!box.checked));
  for (const button of document.querySelectorAll("[data-opens=keys]")) {
    button.hidden = false;
    button.addEventListener("click", () => help.showModal());
  }

  // A decision is made where a candidate is chosen: then it is to assign.
  const choose = (name) => {
    const action = document.querySelector(`input[data-action][value="${name}"]`);
    if (action) action.checked = true;
    return action;
  };
  for (const radio of document.querySelectorAll("[data-candidate]"))
    radio.addEventListener("change", () => choose("assign"));
  const other = document.querySelector("[data-other]");
  if (other) other.addEventListener("input", () => other.value && choose("assign"));

  const move = (step) => {
    const links = [...document.querySelectorAll("[data-row]")]
      .map((row) => row.querySelector("a[href]")).filter(Boolean);
    if (!links.length) return false;
    const row = document.activeElement && document.activeElement.closest("[data-row]");
    const now = links.findIndex((link) => row && row.contains(link));
    const next = now < 0 ? (step > 0 ? 0 : links.length - 1) : now + step;
    const link = links[Math.max(0, Math.min(links.length - 1, next))];
    link.focus();
    link.scrollIntoView({ block: "nearest" });
    return true;
  };

  const press = (key) => {
    if (key === "?") { help.showModal(); return true; }
    if (key === "j") return move(1);
    if (key === "k") return move(-1);
    const wanted = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
    if (wanted) {
      if (wanted.type === "radio") {
        wanted.checked = true;
        wanted.dispatchEvent(new Event("change"));
        const reason = document.getElementById("reason");
        const unnamed = wanted.value === "assign" && !document.querySelector("[data-candidate]:checked");
        ((unnamed && other) || reason || wanted).focus();
      } else {
        wanted.focus();
      }
      wanted.scrollIntoView({ block: "nearest" });
      return true;
    }
    if (key === "w") { location.assign("/worklist"); return true; }
    return false;
  };

  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && at.form) {
      event.preventDefault();
      at.form.requestSubmit(at.form.querySelector("button.main, button[type=submit]"));
      return;
    }
    const typing = at.matches("input:not([type=radio], [type=checkbox]), select, textarea");
    if (event.key === "Escape" && typing) { at.blur(); return; }
    if (typing || help.open || event.ctrlKey || event.metaKey || event.altKey || !box.checked) return;
    if (press(event.key)) event.preventDefault();
  });

  const first = document.querySelector("[data-first]");
  if (first) first.focus();
})();
