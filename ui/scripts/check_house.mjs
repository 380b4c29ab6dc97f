// The house rules a linter does not know: import zones, and colours only in tokens.css.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

const SRC = fileURLToPath(new URL("../src", import.meta.url));
const problems = [];

/** Which zone a file is in, lowest first: shared (0), a feature (1), app (2). */
function zone(path) {
  const parts = relative(SRC, path).split(sep);
  if (parts[0] === "app") return { level: 2, name: "app" };
  if (parts[0] === "features") return { level: 1, name: `features/${parts[1]}` };
  return { level: 0, name: parts[0] };
}

function checkImports(path, text) {
  const from = zone(path);
  for (const [, target] of text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
    const absolute = target.startsWith("@/")
      ? join(SRC, target.slice(2))
      : target.startsWith(".")
        ? resolve(dirname(path), target)
        : null;
    if (absolute === null) continue;
    const to = zone(absolute);
    const test = path.includes(".test.") || from.name === "testing";
    if (to.level > from.level && !test)
      problems.push(`${relative(SRC, path)}: ${from.name} may not import ${to.name}`);
    if (to.level === 1 && from.level === 1 && to.name !== from.name)
      problems.push(`${relative(SRC, path)}: a feature may not import another (${to.name})`);
  }
}

function checkColours(path, text) {
  if (path.endsWith(join("styles", "tokens.css")) || path.endsWith(".gen.ts") || path.includes(".test."))
    return;
  const found = text.match(/#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?|oklch|oklab|lab|lch)\(/);
  if (found)
    problems.push(`${relative(SRC, path)}: a colour (${found[0]}); colours stand in styles/tokens.css only`);
}

for (const entry of readdirSync(SRC, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const text = readFileSync(path, "utf8");
  if (/\.(ts|tsx)$/.test(path)) checkImports(path, text);
  if (/\.(ts|tsx|css)$/.test(path)) checkColours(path, text);
}

if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exitCode = 1;
}
