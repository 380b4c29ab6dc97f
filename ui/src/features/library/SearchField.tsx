/** The search field: types ahead of the server by a moment, never loses focus, follows the address bar. */
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useShortcut } from "@/lib/hooks";
import css from "./library.module.css";

const PAUSE_MS = 140;

interface SearchFieldProps {
  value: string;
  onSearch: (text: string) => void;
  /** Keys that move in the results instead of in the text. */
  onListKey: (event: KeyboardEvent) => void;
}

export function SearchField({ value, onSearch, onListKey }: SearchFieldProps) {
  const [text, setText] = useState(value);
  const field = useRef<HTMLInputElement>(null);
  const sent = useRef(value);
  const search = useRef(onSearch);
  search.current = onSearch;

  // The address changed by other means (back button, "clear"): show that.
  useEffect(() => {
    if (value === sent.current) return;
    sent.current = value;
    setText(value);
  }, [value]);

  const send = (wanted: string) => {
    if (wanted === sent.current) return;
    sent.current = wanted;
    search.current(wanted);
  };
  const latestSend = useRef(send);
  latestSend.current = send;
  useEffect(() => {
    const timer = setTimeout(() => latestSend.current(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);

  useShortcut("/", (event) => {
    event.preventDefault();
    field.current?.focus();
    field.current?.select();
  });

  return (
    <div className={css.searchField}>
      <svg
        width="15"
        height="15"
        viewBox="0 0 15 15"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.4"
        aria-hidden="true"
      >
        <circle cx="6.4" cy="6.4" r="4.4" />
        <path d="m9.8 9.8 3.7 3.7" />
      </svg>
      <input
        ref={field}
        type="search"
        value={text}
        maxLength={200}
        placeholder="Search name, path, id or metadata"
        aria-label="Search the library"
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && text !== "") setText("");
          // The rows are still those of the text before; Enter means the text first.
          else if (event.key === "Enter" && text !== sent.current) send(text);
          else onListKey(event);
        }}
      />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}
