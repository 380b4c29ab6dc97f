/** The frame around all pages: name, places, the state of the index, the theme. */
import { Link, Outlet } from "@tanstack/react-router";
import { useIndexEvents } from "@/api/indexStatus";
import { IndexBar } from "@/features/indexing/IndexBar";
import { type Theme, useTheme } from "@/lib/theme";
import css from "./Shell.module.css";

const NEXT_THEME: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const THEME_NAME: Record<Theme, string> = {
  system: "System theme",
  light: "Light theme",
  dark: "Dark theme",
};

function ThemeButton() {
  const [theme, setTheme] = useTheme();
  return (
    <button
      type="button"
      className={css.theme}
      onClick={() => setTheme(NEXT_THEME[theme])}
      title={`${THEME_NAME[theme]}; press for ${THEME_NAME[NEXT_THEME[theme]].toLowerCase()}`}
      aria-label={`${THEME_NAME[theme]}. Change theme`}
    >
      <svg
        width="16"
        height="16"
        viewBox="0 0 16 16"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.3"
        aria-hidden="true"
      >
        <circle cx="8" cy="8" r="5.6" />
        {theme !== "light" && <path d="M8 2.4a5.6 5.6 0 0 1 0 11.2z" fill="currentColor" stroke="none" />}
        {theme === "dark" && <circle cx="8" cy="8" r="5.6" fill="currentColor" stroke="none" />}
      </svg>
    </button>
  );
}

export function Shell() {
  useIndexEvents();
  return (
    <>
      <a className={css.skip} href="#content">
        Skip to content
      </a>
      <header className={css.bar}>
        <Link to="/" className={css.name}>
          <svg width="18" height="16" viewBox="0 0 18 16" aria-hidden="true">
            <path d="M1 14V8h2.4v6zM5 14V4h2.4v10zM9 14V9.5h2.4V14z" fill="currentColor" />
            <path className={css.needle} d="M13 14V1h2.4v13z" />
          </svg>
          LoRA Weights Builder
        </Link>
        <nav className={css.places} aria-label="Pages">
          <Link to="/" activeOptions={{ exact: true, includeSearch: false }}>
            Library
          </Link>
          <Link to="/compare">Compare</Link>
          <Link to="/layouts">Layouts</Link>
          <Link to="/indexing">Indexing</Link>
          <Link to="/checks">Health</Link>
        </nav>
        <div className={css.right}>
          <IndexBar />
          <ThemeButton />
        </div>
      </header>
      <div id="content" className={css.content} tabIndex={-1}>
        <Outlet />
      </div>
    </>
  );
}
