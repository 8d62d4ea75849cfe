// What scripts add to the dashboard's pages: figures that renew themselves, filter and sort without asking, charts.
// Everything here also works without it. Loaded with `defer`; needs `Idiomorph` and, on pages with charts, `uPlot`.
"use strict";

(() => {
    const PAGE_TITLE = () => document.querySelector("title").textContent;
    const ROWS_AT_A_TIME = 60;
    const GIVE_UP_AFTER_MS = 8000;
    const find = (selector, from = document) => from.querySelector(selector);
    const all = (selector, from = document) => [...from.querySelectorAll(selector)];

    // --- Times: "3 min ago" grows older without the server ---

    const ago = (seconds) => {
        const s = Math.max(0, Math.floor(seconds));
        if (s < 60) return `${s} s ago`;
        if (s < 3600) return `${Math.floor(s / 60)} min ago`;
        if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ago`;
        return `${Math.floor(s / 86400)} d ago`;
    };
    // The browser's clock may be wrong: what counts is how long ago it was when the server wrote the page.
    let serverAhead = 0;
    const readServerClock = (page) => {
        const now = Date.parse(page.body.dataset.now);
        if (now) serverAhead = now - Date.now();
    };
    const tellTimes = (from = document) => {
        const now = Date.now() + serverAhead;
        for (const time of all("time[data-ago]", from)) {
            const told = ago((now - Date.parse(time.dateTime)) / 1000);
            if (time.textContent !== told) time.textContent = told;
        }
    };

    // --- The board: filter and sort ---

    const table = () => find("table.board");
    const collator = new Intl.Collator("en", { numeric: true });
    const wanted = { text: "", stage: "", show: "", sort: "", descending: false };

    const readWanted = () => {
        const asked = new URLSearchParams(location.search);
        wanted.text = (asked.get("q") || "").toLowerCase();
        wanted.stage = asked.get("stage") || "";
        wanted.show = asked.get("show") || "";
        wanted.sort = asked.get("sort") || "";
        wanted.descending = asked.get("order") === "desc";
    };
    const writeWanted = () => {
        const asked = new URLSearchParams();
        if (wanted.text) asked.set("q", wanted.text);
        if (wanted.stage) asked.set("stage", wanted.stage);
        if (wanted.show) asked.set("show", wanted.show);
        if (wanted.sort) asked.set("sort", wanted.sort);
        if (wanted.sort && wanted.descending) asked.set("order", "desc");
        const query = asked.toString();
        history.replaceState(null, "", query ? `?${query}` : location.pathname);
    };
    const isWanted = (row) =>
        (!wanted.stage || row.dataset.stage === wanted.stage) &&
        (!wanted.show || row.classList.contains("attention") || row.classList.contains("alarm")) &&
        (!wanted.text || row.dataset.find.includes(wanted.text));
    const columnOf = (name) => all("thead [data-sort]", table()).find((head) => head.dataset.sort === name);
    const keyOf = (row, place) => {
        const value = row.cells[place].dataset.v;
        return value === undefined || value === "" ? null : value;
    };
    const compare = (place, isText) => (one, other) => {
        const [a, b] = [one.key, other.key];
        // What has no data is never the best and never the worst: always last.
        if (a === null || b === null) return (a === null) - (b === null) || one.row.dataset.at - other.row.dataset.at;
        const order = isText ? collator.compare(a, b) : a - b;
        return (wanted.descending ? -order : order) || one.row.dataset.at - other.row.dataset.at;
    };
    const arrange = () => {
        const body = find("tbody", table());
        const rows = all("tr[id]", body);
        let shown = 0;
        for (const row of rows) {
            const is = isWanted(row);
            if (row.hidden === is) row.hidden = !is;
            shown += is;
        }
        const head = wanted.sort && columnOf(wanted.sort);
        const place = head ? Number(head.dataset.place) : -1;
        const keyed = rows.map((row) => ({ row, key: head ? keyOf(row, place) : row.dataset.at }));
        const sorted = keyed.sort(head ? compare(place, head.dataset.kind === "text") : (a, b) => a.key - b.key);
        if (sorted.some(({ row }, index) => row !== rows[index])) {
            body.prepend(...sorted.map(({ row }) => row));
        }
        for (const other of all("thead [data-sort]", table())) {
            if (other === head) other.setAttribute("aria-sort", wanted.descending ? "descending" : "ascending");
            else other.removeAttribute("aria-sort");
        }
        find("#none-left").hidden = shown !== 0 || rows.length === 0;
        tell(find("#count"), `${shown} of ${rows.length} routes`);
    };
    const tell = (where, text) => {
        if (where && where.textContent !== text) where.textContent = text;
    };
    const later = (() => {
        let timer;
        return (work) => {
            clearTimeout(timer);
            timer = setTimeout(work, 80);
        };
    })();
    const listenToBoard = () => {
        const form = find("form.tools");
        const changed = () => {
            wanted.text = form.elements.q.value.trim().toLowerCase();
            wanted.stage = form.elements.stage.value;
            wanted.show = form.elements.show.value;
            writeWanted();
            arrange();
        };
        form.addEventListener("input", () => later(changed));
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            changed();
        });
        find("button", form).hidden = true;
        table().addEventListener("click", (event) => {
            const link = event.target.closest("thead a");
            if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            const head = link.closest("[data-sort]");
            const again = wanted.sort === head.dataset.sort;
            wanted.descending = again ? !wanted.descending : head.dataset.first === "desc";
            wanted.sort = head.dataset.sort;
            writeWanted();
            arrange();
        });
    };

    // --- Live: the page as the server renders it now ---

    const quietly = { morphStyle: "outerHTML", ignoreActiveValue: true, restoreFocus: true };
    const written = new Map();
    const nextFrame = () => new Promise((done) => requestAnimationFrame(done));

    // Only rows whose text is another are touched, and not all at once: typing goes on meanwhile.
    const renewRows = async (fresh) => {
        const body = find("tbody", table());
        const left = new Set(all("tr[id]", body).map((row) => row.id));
        let touched = 0;
        for (const row of all("tr[id]", fresh)) {
            left.delete(row.id);
            const text = row.outerHTML;
            const old = document.getElementById(row.id);
            if (old && written.get(row.id) === text) continue;
            written.set(row.id, text);
            row.hidden = !isWanted(row);
            tellTimes(row);
            if (old) Idiomorph.morph(old, row, quietly);
            else body.append(row);
            if (++touched % ROWS_AT_A_TIME === 0) await nextFrame();
        }
        for (const id of left) {
            written.delete(id);
            document.getElementById(id).remove();
        }
        arrange();
    };
    const renew = async (page) => {
        readServerClock(page);
        for (const fresh of all("[data-live]", page)) {
            const old = document.getElementById(fresh.id);
            if (!old) continue;
            if (old.matches("table.board")) await renewRows(find("tbody", fresh));
            else if (old.outerHTML !== fresh.outerHTML) {
                keepOpen(old, fresh);
                tellTimes(fresh);
                Idiomorph.morph(old, fresh, quietly);
            }
        }
        document.body.dataset.now = page.body.dataset.now;
        tell(find("title"), page.title);
        tell(find("#said"), find("#said", page)?.textContent ?? "");
        tellTimes();
        drawCharts();
    };
    // What the reader has opened stays open, and what a script has drawn is not undone.
    const keepOpen = (old, fresh) => {
        for (const details of all("details[id][open]", old)) {
            const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
            if (same) same.open = true;
        }
        for (const plot of all(".plot[data-drawn]", old)) {
            const same = fresh.querySelector(`#${CSS.escape(plot.id)}`);
            if (same) same.replaceWith(plot.cloneNode(false));
        }
    };

    // Filters are this script's business: it has to have every row.
    const everything = () => {
        const address = new URL(location.href);
        for (const name of ["q", "stage", "show"]) address.searchParams.delete(name);
        address.hash = "";
        return address;
    };
    let version = document.body.dataset.version || "";
    let paused = false;
    let asking = false;
    let silentSince = null;

    const ask = async () => {
        if (asking || paused || document.hidden) return;
        asking = true;
        const began = Date.now();
        try {
            const headers = { "Banyan-Renews": "1", ...(version && { "If-None-Match": version }) };
            const answer = await fetch(everything(), { headers, cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_AFTER_MS) });
            if (answer.status === 304) return heard();
            if (answer.redirected || answer.status === 401) return lost("You are signed out.", "Reload the page to sign in again.");
            if (!answer.ok) throw new Error(`status ${answer.status}`);
            const page = new DOMParser().parseFromString(await answer.text(), "text/html");
            version = answer.headers.get("ETag") || "";
            if (!paused) await renew(page);
            heard();
        } catch (problem) {
            silentSince ??= began;
            const since = new Date(silentSince + serverAhead).toISOString().slice(11, 19);
            lost(`Banyan does not answer since ${since} UTC.`, "What is shown is from before that. Trying again.");
        } finally {
            asking = false;
        }
    };
    const lost = (first, second) => {
        const note = find("#silent");
        tell(find("strong", note), first);
        tell(find("span", note), second);
        note.hidden = false;
        document.body.classList.add("silent");
        if (!document.title.startsWith("No answer")) document.title = `No answer: ${PAGE_TITLE()}`;
    };
    const heard = () => {
        silentSince = null;
        if (find("#silent").hidden) return;
        find("#silent").hidden = true;
        document.body.classList.remove("silent");
        document.title = PAGE_TITLE().replace(/^No answer: /, "");
    };
    const listenToPause = () => {
        const button = find("#pause");
        if (!button) return;
        button.hidden = false;
        button.addEventListener("click", () => {
            paused = !paused;
            button.setAttribute("aria-pressed", paused);
            tell(button, paused ? "Updates paused" : "Pause updates");
            ask();
        });
    };

    // --- Charts ---

    const drawn = new Map();
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const short = (value, unit) => {
        if (value === null || value === undefined) return "no data";
        if (unit === "ratio") return `${+(value * 100).toPrecision(3)} %`;
        if (unit === "seconds") return value < 1 ? `${+(value * 1000).toPrecision(3)} ms` : `${+value.toPrecision(3)} s`;
        return `${+value.toPrecision(3)}`;
    };
    const marksOn = (marks) => (chart) => {
        const { ctx, bbox } = chart;
        ctx.save();
        ctx.strokeStyle = colour("--mark");
        ctx.setLineDash([4, 4]);
        for (const mark of marks) {
            const x = Math.round(chart.valToPos(mark, "x", true));
            if (x < bbox.left || x > bbox.left + bbox.width) continue;
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
        }
        ctx.restore();
    };
    const options = (data, chart, width) => ({
        width,
        height: 180,
        ms: 1e-3,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        cursor: { sync: { key: "route" }, drag: { x: false, y: false } },
        legend: { live: true },
        scales: { x: { range: [data.from, data.to] }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
        axes: [
            { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, space: 75, values: utcTicks },
            { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, size: 62, values: (u, ticks) => ticks.map((tick) => short(tick, chart.unit)) },
        ],
        series: [
            { value: (u, at) => (at ? `${new Date(at * 1000).toISOString().slice(11, 19)} UTC` : "–") },
            ...chart.lines.map((line) => ({
                label: line.label,
                stroke: colour(`--${line.colour}`),
                width: 2,
                dash: line.dashed ? [7, 4] : [],
                points: { size: 4 },
                value: (u, value) => short(value, chart.unit),
            })),
        ],
        hooks: { draw: [marksOn(data.marks)] },
    });
    const utcTicks = (u, ticks) => {
        const step = ticks.length > 1 ? ticks[1] - ticks[0] : 60;
        const part = step >= 86400 ? [5, 10] : step >= 60 ? [11, 16] : [11, 19];
        return ticks.map((tick) => new Date(tick * 1000).toISOString().slice(...part));
    };
    const drawCharts = () => {
        const source = find("#series");
        if (!source || typeof uPlot === "undefined") return;
        const text = source.textContent;
        const data = JSON.parse(text);
        for (const chart of data.charts) {
            const place = document.getElementById(chart.id);
            if (!place || !chart.lines.some((line) => line.values.some((value) => value !== null))) continue;
            const signature = `${data.from} ${data.marks} ${place.clientWidth}`;
            const columns = [data.at, ...chart.lines.map((line) => line.values)];
            const before = drawn.get(chart.id);
            if (before && before.place === place && before.text === text && before.signature === signature) continue;
            before?.plot.destroy();
            place.replaceChildren();
            place.dataset.drawn = "";
            const plot = new uPlot(options(data, chart, place.clientWidth), columns, place);
            find("canvas", place).setAttribute("aria-hidden", "true");
            drawn.set(chart.id, { plot, place, text, signature });
        }
    };
    const redraw = () => {
        for (const known of drawn.values()) known.text = "";
        drawCharts();
    };

    // --- Copying a command ---

    const listenToCopies = () => {
        if (!navigator.clipboard) return;
        for (const button of all("button[data-copy]")) button.hidden = false;
        document.addEventListener("click", async (event) => {
            const button = event.target.closest("button[data-copy]");
            if (!button) return;
            await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
            tell(button, "Copied");
        });
    };

    // --- Begin ---

    readServerClock(document);
    tellTimes();
    setInterval(tellTimes, 1000);
    listenToPause();
    listenToCopies();
    drawCharts();
    addEventListener("resize", () => later(redraw));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    if (table()) {
        readWanted();
        for (const row of all("tbody tr[id]", table())) written.set(row.id, row.outerHTML);
        listenToBoard();
        if (table().hasAttribute("data-partial")) {
            version = "";
            ask();
        } else arrange();
    }
    const every = Number(document.body.dataset.every);
    if (every) {
        setInterval(ask, every * 1000);
        document.addEventListener("visibilitychange", ask);
    }
})();
