/** What can be done with the selected entries; floats over the list's lower edge, so that no row moves. */
import { useRouter } from "@tanstack/react-router";
import { Button, Copy } from "@/components/ui";
import { formatCount } from "@/lib/format";
import css from "./library.module.css";
import { clearSelection, useSelection } from "./selection";

const COMPARE_LEAST = 2;
const COMPARE_MOST = 6;

export function SelectionBar() {
  const { history } = useRouter();
  const ids = [...useSelection()];
  const comparable = ids.length >= COMPARE_LEAST && ids.length <= COMPARE_MOST;
  const compare = `/compare?ids=${ids.map(encodeURIComponent).join(",")}`;
  if (ids.length === 0) return null;
  return (
    <section className={css.selectionBar} aria-label="Selection">
      <p role="status">
        <b>{formatCount(ids.length)}</b> selected
      </p>
      <Copy text={ids.join("\n")} label="one id a line">
        Copy ids
      </Copy>
      {comparable ? (
        <a
          href={compare}
          onClick={(event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            history.push(compare);
          }}
        >
          Compare
        </a>
      ) : (
        <span className="faint">
          Compare takes {COMPARE_LEAST} to {COMPARE_MOST}
        </span>
      )}
      <Button kind="quiet" onClick={clearSelection}>
        Clear <kbd aria-hidden="true">Esc</kbd>
      </Button>
    </section>
  );
}
