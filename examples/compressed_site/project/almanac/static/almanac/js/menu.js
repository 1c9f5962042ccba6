// The contents, made from the page's own headings.
(function () {
  var button = document.getElementById("menu");
  var list = document.getElementById("contents");
  document.querySelectorAll("section[id]").forEach(function (section) {
    var link = document.createElement("a");
    link.href = "#" + section.id;
    link.textContent = section.querySelector("h2").textContent;
    list.appendChild(document.createElement("li")).appendChild(link);
  });
  button.addEventListener("click", function () {
    list.hidden = !list.hidden;
    button.setAttribute("aria-expanded", String(!list.hidden));
  });
})();
