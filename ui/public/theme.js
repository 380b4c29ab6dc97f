// Runs before the first paint, so that a chosen theme does not flash. Kept in step with src/lib/theme.ts.
(() => {
  try {
    const theme = localStorage.getItem("lwb.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be blocked; the system's theme is used then.
  }
})();
