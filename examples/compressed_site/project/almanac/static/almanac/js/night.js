// The button that turns the page to night.
(function () {
  var button = document.getElementById("night");
  button.addEventListener("click", function () {
    var night = document.documentElement.classList.toggle("night");
    button.setAttribute("aria-pressed", String(night));
    button.textContent = night ? "Day" : "Night";
  });
})();
