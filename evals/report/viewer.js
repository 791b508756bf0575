"use strict";
// Shows two arms' episodes of one task. Whatever a model wrote is put on the page through textContent only.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const T = (number) => data.texts[number];
  let shown = [];
  let at = 0;

  const el = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const tag = (text, look) => el("span", "tag" + (look ? " " + look : ""), text);
  const fold = (text) => text.trim().split(/\s+/).join(" ");
  const finder = (quote) => {
    const words = fold(quote).split(" ").filter(Boolean);
    return words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("\\s+");
  };

  // Text with every place that stands in `patterns` marked.
  function marked(text, patterns) {
    const pre = el("pre");
    const found = patterns.filter(Boolean).sort((a, b) => b.length - a.length);
    if (!found.length) { pre.textContent = text; return pre; }
    const search = new RegExp(found.join("|"), "g");
    let done = 0;
    for (const match of text.matchAll(search)) {
      if (!match[0]) continue;
      pre.append(text.slice(done, match.index), el("mark", "", match[0]));
      done = match.index + match[0].length;
    }
    pre.append(text.slice(done));
    return pre;
  }

  // A final message: quotes that stand in an observation are marked, others underlined.
  function answered(text, seen) {
    const pre = el("pre");
    text.split("\n").forEach((line, i) => {
      if (i) pre.append("\n");
      const quote = /^([\s*_>#-]*quote[\s*_]*:[\s*_]*)(.*)$/i.exec(line);
      if (!quote || !quote[2].trim()) { pre.append(line); return; }
      const bare = quote[2].trim().replace(/^["“]|["”]$/g, "");
      const stands = seen.some((each) => each.includes(fold(quote[2])) || each.includes(fold(bare)));
      pre.append(quote[1], stands ? el("mark", "", quote[2]) : el("span", "missed", quote[2]));
    });
    return pre;
  }

  function turn(message, episode, seen, task) {
    const critique = message.node === "verify" || message.node === "repair";
    const box = el("div", "turn " + (critique ? "critique" : message.role));
    const who = { user: "task", assistant: "player", tool: "observation", system: "rules" }[message.role] || message.role;
    box.append(el("div", "who", critique ? (message.node === "verify" ? "verifier" : "repair") : who));
    if (message.hidden !== undefined) {
      const more = el("details");
      more.append(el("summary", "", "hidden reasoning"), el("pre", "", T(message.hidden)));
      box.append(more);
    }
    const text = T(message.text);
    if (message.role === "system" || (message.role === "user" && !critique)) {
      const more = el("details");
      more.append(el("summary", "", message.role === "user" ? "question as asked" : "prompt"), el("pre", "", text));
      box.append(more);
    } else if (message.role === "tool") {
      box.append(marked(text, episode.quotes.map((quote) => finder(T(quote).replace(/^["“]|["”]$/g, "")))));
    } else if (message.role === "assistant") {
      box.append(answered(text, seen));
    } else {
      box.append(el("pre", "", text));
    }
    for (const call of message.calls || []) box.append(el("pre", "call", T(call)));
    if (message.malformed !== undefined) box.append(el("div", "malformed", "could not be read: " + T(message.malformed)));
    return box;
  }

  // Model calls that are no turn of the episode: rewrites, extracts, judgements, first thoughts.
  function beside(calls) {
    const all = el("details", "turn beside");
    all.append(el("summary", "", calls.length + (calls.length === 1 ? " model call" : " model calls") + " beside the turns"));
    for (const call of calls) {
      const one = el("details");
      one.append(el("summary", "", call.role + ", " + call.usage[0] + " + " + call.usage[1] + " tokens"));
      one.append(el("pre", "", T(call.asked)), el("pre", "call", T(call.came)));
      all.append(one);
    }
    return all;
  }

  function pane(place, arm, task) {
    place.replaceChildren();
    const head = el("h3", "", data.arms[arm].name + " ");
    head.append(el("small", "", data.arms[arm].kind));
    place.append(head);
    const episode = task.episodes[arm];
    if (!episode) { place.append(el("p", "note", "No episode of this task: it counts as wrong.")); return; }
    const tags = el("div", "tags");
    tags.append(tag(episode.right ? "right" : "wrong", episode.right ? "good" : "bad"));
    if (episode.dataset !== undefined) {
      const kept = T(episode.dataset) === "kept";
      tags.append(tag(kept ? "kept" : "dropped: " + T(episode.dataset), kept ? "good" : "bad"));
      tags.append(tag(episode.as.join(", ")));
    }
    if (T(episode.stop) !== "answered") tags.append(tag("ended: " + T(episode.stop), "bad"));
    if (episode.grounded !== null) tags.append(tag(episode.grounded ? "grounded" : "not grounded", episode.grounded ? "good" : "bad"));
    for (const reason of episode.reasons) if (T(reason) !== "wrong") tags.append(tag(T(reason), "bad"));
    if (episode.answer !== null) tags.append(tag("answer: " + T(episode.answer)));
    place.append(tags);
    const seen = episode.messages.filter((m) => m.role === "tool").map((m) => fold(T(m.text)));
    for (const message of episode.messages) place.append(turn(message, episode, seen, task));
    if (episode.beside) place.append(beside(episode.beside));
    const hit = task.evidence.filter((chunk) => episode.found.includes(chunk)).length;
    const usage = episode.usage;
    const parts = [episode.searches + (episode.searches === 1 ? " search" : " searches")];
    if (task.evidence.length && episode.searches) parts.push("evidence " + hit + " of " + task.evidence.length);
    parts.push(usage[2] + " turns", usage[0] + " + " + usage[1] + " tokens", usage[3] + " s", "key ");
    const foot = el("p", "note more", parts.join(" · "));
    const link = el("a", "", episode.key);
    link.href = "#" + encodeURIComponent(episode.key);
    foot.append(link);
    place.append(foot);
  }

  // Options are shown where one of the two episodes was played with them.
  const form = (task, arm) => (task.episodes[arm] ? task.episodes[arm].as[2] : data.arms[arm].form);
  const lettered = (task, arms) => task.options.length && arms.some((arm) => form(task, arm) === "choice");

  function ask(task, arms) {
    const place = $("question");
    place.replaceChildren();
    const tags = el("div", "tags");
    tags.append(tag(T(task.id)), tag(task.level), tag(T(task.kind)));
    if (task.unseen) tags.append(tag("unseen module"));
    place.append(tags, el("p", "asked", T(task.question)));
    if (!lettered(task, arms)) { place.append(el("p", "good", "Gold: " + T(task.gold))); return; }
    const list = el("ol");
    for (const option of task.options) list.append(el("li", option === task.gold ? "gold" : "", T(option) + (option === task.gold ? "  (gold)" : "")));
    place.append(list);
  }

  const right = (task, arm) => Boolean(task.episodes[arm] && task.episodes[arm].right);
  const said = (task, arm) => (task.episodes[arm] && task.episodes[arm].answer !== null ? T(task.episodes[arm].answer) : null);
  const ended = (task, arm) => !task.episodes[arm] || T(task.episodes[arm].stop) !== "answered";
  const every = data.arms.map((_, i) => i);
  const tests = {
    all: () => true,
    primary: (task) => task.split === "test" && !right(task, data.primary),
    differ: (task, l, r) => right(task, l) !== right(task, r) || said(task, l) !== said(task, r),
    any: (task) => new Set(every.map((arm) => right(task, arm))).size > 1,
    left: (task, l) => !right(task, l),
    right: (task, l, r) => !right(task, r),
    ended: (task, l, r) => ended(task, l) || ended(task, r),
    unseen: (task) => task.unseen,
  };
  const words = (task, arms) => {
    const numbers = [task.id, task.kind, task.question, task.gold, ...(lettered(task, arms) ? task.options : [])];
    for (const arm of arms) {
      const episode = task.episodes[arm];
      if (episode) for (const m of episode.messages) numbers.push(m.text, ...(m.calls || []));
    }
    return numbers.map(T).join("\n").toLowerCase();
  };

  function draw() {
    const task = shown[at];
    $("where").textContent = shown.length ? at + 1 + " of " + shown.length : "none";
    $("back").disabled = at <= 0;
    $("next").disabled = at >= shown.length - 1;
    if (!task) {
      $("question").replaceChildren(el("p", "note", "No task fits."));
      $("pane-left").replaceChildren();
      $("pane-right").replaceChildren();
      return;
    }
    const pair = [Number($("left").value), Number($("right").value)];
    ask(task, pair);
    pane($("pane-left"), pair[0], task);
    pane($("pane-right"), pair[1], task);
  }

  function choose() {
    const current = shown[at];
    const l = Number($("left").value), r = Number($("right").value);
    const level = $("level").value, text = $("find").value.trim().toLowerCase();
    const test = tests[$("show").value], split = $("split").value;
    shown = data.tasks.filter((task) => task.split === split && (!level || task.level === level) && test(task, l, r) && (!text || words(task, [l, r]).includes(text)));
    at = Math.max(0, shown.indexOf(current));
    draw();
  }

  function go(by) {
    const to = Math.min(Math.max(0, at + by), shown.length - 1);
    if (to !== at && to >= 0) { at = to; draw(); }
  }

  // The arms of the chosen set; of collected episodes one, and a second pane where a task has several.
  function seat() {
    const split = $("split").value;
    const arms = every.filter((arm) => data.arms[arm].split === split);
    for (const side of ["left", "right"]) {
      $(side).replaceChildren();
      for (const arm of arms) {
        const option = el("option", "", data.arms[arm].name);
        option.value = String(arm);
        $(side).append(option);
      }
    }
    $("left").value = String(split === "test" ? data.left : arms[0]);
    $("right").value = String(split === "test" ? data.primary : arms[1] === undefined ? arms[0] : arms[1]);
    const alone = arms.length < 2;
    $("pane-right").hidden = alone;
    $("pane-left").parentElement.classList.toggle("alone", alone);
    for (const option of $("show").options) option.disabled = split === "train" && ["primary", "differ", "any", "right"].includes(option.value);
    if ($("show").selectedOptions[0].disabled) $("show").value = "all";
  }

  // The episode that the address names (`#KEY`), if there is one: shown, on the left where it is not on the right already.
  function named() {
    let key = "";
    try { key = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    if (!key || document.getElementById(key)) return;
    for (const task of data.tasks) {
      const arm = task.episodes.findIndex((episode) => episode && episode.key === key);
      if (arm < 0) continue;
      $("split").value = task.split;
      seat();
      if (Number($("right").value) !== arm) $("left").value = String(arm);
      $("level").value = "";
      $("show").value = "all";
      $("find").value = "";
      choose();
      at = shown.indexOf(task);
      draw();
      $("viewer").scrollIntoView();
      return;
    }
    $("question").prepend(el("p", "note bad", "This page holds no episode of the key " + key + "; retort show finds all."));
  }

  $("split").addEventListener("change", () => { seat(); at = 0; choose(); });
  window.addEventListener("hashchange", named);
  for (const id of ["left", "right", "level", "show"]) $(id).addEventListener("change", choose);
  $("find").addEventListener("input", choose);
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("back").addEventListener("click", () => go(-1));
  $("next").addEventListener("click", () => go(1));
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const box = $("viewer").getBoundingClientRect();
    if (by && box.bottom > 0 && box.top < window.innerHeight) { go(by); event.preventDefault(); }
  });
  $("viewer").hidden = false;
  seat();
  choose();
  named();
})();
