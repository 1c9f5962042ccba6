// Lists what the browser has loaded for this page, as it tells itself.
export function listFiles(table) {
  const seen = new Set();
  const list = (entries) => {
    for (const { name, initiatorType } of entries) {
      if (seen.has(name)) continue;
      seen.add(name);
      const url = new URL(name);
      const row = table.insertRow();
      for (const text of [url.host, decodeURI(url.pathname), initiatorType]) row.insertCell().textContent = text;
    }
  };
  new PerformanceObserver((loaded) => list(loaded.getEntries())).observe({ type: "resource", buffered: true });
}
