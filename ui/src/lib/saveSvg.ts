/** Turns a drawing on the page into an SVG file that looks the same anywhere else. */

const CARRIED = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "font-family",
  "font-size",
  "font-weight",
  "opacity",
] as const;
const DRAWN = "path, rect, line, circle, text";
const MARGIN = 16;

/** The drawing as a file's text: styles written out as attributes, on the page's own background, with a title. */
export function standaloneSvg(svg: SVGSVGElement, title: string): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = svg.querySelectorAll<SVGElement>(DRAWN);
  copy.querySelectorAll<SVGElement>(DRAWN).forEach((element, index) => {
    const original = originals[index];
    if (original === undefined) return;
    const style = getComputedStyle(original);
    for (const property of CARRIED) {
      const value = style.getPropertyValue(property);
      if (value !== "")
        element.setAttribute(property, value.replace(/url\("?[^")]*#([^")]*)"?\)/, "url(#$1)"));
    }
    element.removeAttribute("style");
  });
  for (const element of copy.querySelectorAll("*")) {
    for (const name of ["class", "tabindex", "role", "aria-label", "aria-hidden"])
      element.removeAttribute(name);
  }
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${width + 2 * MARGIN} ${height + 2 * MARGIN}`);
  copy.setAttribute("width", String(width + 2 * MARGIN));
  copy.setAttribute("height", String(height + 2 * MARGIN));
  copy.removeAttribute("class");
  const paper = document.createElementNS(copy.namespaceURI, "rect");
  const fill = getComputedStyle(document.documentElement).backgroundColor;
  const frame = { x: -MARGIN, y: -MARGIN, width: width + 2 * MARGIN, height: height + 2 * MARGIN, fill };
  for (const [name, value] of Object.entries(frame)) paper.setAttribute(name, String(value));
  const heading = document.createElementNS(copy.namespaceURI, "title");
  heading.textContent = title;
  copy.prepend(heading, paper);
  return new XMLSerializer().serializeToString(copy);
}

/** Hands a text to the browser as a download. */
export function saveFile(text: string, type: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the blob after the click; a second is plenty.
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
