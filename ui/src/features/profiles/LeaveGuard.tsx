/** Asks before unsaved changes are lost: on the way to another page, and (in the browser's words) when the tab closes. */
import { useBlocker } from "@tanstack/react-router";
import { useEffect, useId, useRef } from "react";
import { Button } from "@/components/ui";
import css from "./profiles.module.css";

export function LeaveGuard({ isActive }: { isActive: boolean }) {
  const blocker = useBlocker({
    shouldBlockFn: ({ current, next }) => isActive && current.pathname !== next.pathname,
    enableBeforeUnload: isActive,
    withResolver: true,
  });
  if (blocker.status !== "blocked") return null;
  return <LosesChanges onStay={blocker.reset} onLeave={blocker.proceed} />;
}

/** The question itself. Staying is what Enter and Escape mean. */
export function LosesChanges({ onStay, onLeave }: { onStay: () => void; onLeave: () => void }) {
  const title = useId();
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    frame.current?.querySelector("button")?.focus();
    return () => {
      if (before instanceof HTMLElement || before instanceof SVGElement) before.focus();
    };
  }, []);
  return (
    <div
      ref={frame}
      role="alertdialog"
      aria-labelledby={title}
      className={css.question}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        onStay();
      }}
    >
      <p id={title}>The profile has changes that are not saved.</p>
      <Button kind="primary" onClick={onStay}>
        Keep editing
      </Button>
      <Button onClick={onLeave}>Discard the changes</Button>
    </div>
  );
}
