const WIDTH = 720;
const HEIGHT = 220;
const TOP = 5.4;

const x = (hour) => (hour / 24) * WIDTH;
const y = (height) => HEIGHT - 24 - (height / TOP) * (HEIGHT - 40);

export function drawChart(target, heightAt, now) {
  const points = Array.from({ length: 97 }, (_, step) => step / 4).map((hour) => `${x(hour)} ${y(heightAt(hour))}`);
  const hours = [0, 6, 12, 18].map((hour) => `<text x="${x(hour) + 4}" y="${HEIGHT - 6}">${hour}:00</text>`);
  target.innerHTML = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Height of the tide">
    <path d="M${points.join("L")}"/><path class="now" d="M${x(now)} 0V${HEIGHT - 24}"/>${hours.join("")}</svg>`;
}
//# sourceMappingURL=chart.js.map
