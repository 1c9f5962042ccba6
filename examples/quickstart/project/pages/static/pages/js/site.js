// Lists the files that this page uses: those that the browser says it has loaded, and the images that CSS has set.
addEventListener("load", () => {
  const used = new Set(performance.getEntriesByType("resource").map((entry) => entry.name));
  for (const element of document.querySelectorAll("body *")) {
    const [, address] = getComputedStyle(element).backgroundImage.match(/url\("(http.+?)"\)/) ?? [];
    if (address) used.add(address);
  }
  const files = document.getElementById("files");
  for (const address of used) {
    const { origin, pathname } = new URL(address);
    const row = files.insertRow();
    row.insertCell().textContent = origin;
    row.insertCell().textContent = pathname;
  }
});
