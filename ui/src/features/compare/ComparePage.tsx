/** Two to six LoRAs beside each other. What is compared, and how, stands in the address bar. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useRef } from "react";
import { api, type CompareAnswer } from "@/api/client";
import { useRegistry } from "@/api/registry";
import { Button, Empty, Mark, Note, Page } from "@/components/ui";
import { type CompareSearch, idsOf, MAX_COMPARED, type Measure } from "@/lib/compareSearch";
import { useTitle } from "@/lib/hooks";
import { saveFile, standaloneSvg } from "@/lib/saveSvg";
import { CompareChart } from "./CompareChart";
import { CompareTable, SimilarityTable } from "./CompareTable";
import css from "./compare.module.css";
import { type CompareModel, compareModel, type Series, seriesOf } from "./compareModel";
import { LoraPicker } from "./LoraPicker";
import { SeriesSign } from "./SeriesSign";

const route = getRouteApi("/compare");

type Change = (part: { [Key in keyof CompareSearch]?: CompareSearch[Key] | undefined }) => void;

export function ComparePage() {
  useTitle("Compare");
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const ids = idsOf(search.ids);
  const query = useQuery({
    queryKey: ["lora", "compare", ids],
    queryFn: ({ signal }) => api.compare(ids, signal),
    enabled: ids.length > 0,
    placeholderData: keepPreviousData,
  });
  const answer = ids.length > 0 ? query.data : undefined;
  const change: Change = (part) =>
    void navigate({ search: (before) => ({ ...before, ...part }) as CompareSearch, replace: true });
  const setIds = (next: string[]) => change({ ids: next.length > 0 ? next.join(",") : undefined });
  return (
    <Page>
      <div className={css.page} aria-busy={query.isFetching}>
        <h1>Compare</h1>
        {answer !== undefined && (
          <Entries answer={answer} onRemove={(id) => setIds(ids.filter((one) => one !== id))} />
        )}
        {ids.length < MAX_COMPARED && (
          <LoraPicker
            architecture={answer?.architecture ?? null}
            taken={ids}
            onPick={(id) => setIds([...ids, id])}
            isFirst={ids.length === 0}
          />
        )}
        {query.error !== null && (
          <Note
            tone="bad"
            title="The comparison could not be made"
            actions={<Button onClick={() => void query.refetch()}>Try again</Button>}
          >
            <p>{query.error.message}</p>
          </Note>
        )}
        {answer === undefined ? (
          query.error === null && (ids.length > 0 ? <div className={css.room} /> : <NothingYet />)
        ) : (
          <Comparison answer={answer} search={search} onChange={change} />
        )}
      </div>
    </Page>
  );
}

function NothingYet() {
  return (
    <Empty title="Two to six LoRAs beside each other">
      <p>
        Name the first above, or choose some in the <Link to="/">library</Link>. LoRAs of one architecture can
        be compared whichever of its blocks they hold.
      </p>
    </Empty>
  );
}

function Entries({ answer, onRemove }: { answer: CompareAnswer; onRemove: (id: string) => void }) {
  const all = seriesOf(answer);
  return (
    <ul className={css.entries}>
      {answer.entries.map((entry, place) => {
        const series = all[place] as Series;
        return (
          <li key={entry.stable_id} data-left-out={!entry.compared || undefined}>
            <SeriesSign series={series} />
            <div>
              <Link to="/lora/$stableId" params={{ stableId: entry.stable_id }} className={css.name}>
                {series.name}
              </Link>
              <span className={`mono ${css.id}`}>{entry.stable_id}</span>
              {!entry.compared && <Mark tone="warn">not compared</Mark>}
              {entry.reason !== null && <p className={css.reason}>{entry.reason}</p>}
            </div>
            <button
              type="button"
              className={css.remove}
              onClick={() => onRemove(entry.stable_id)}
              aria-label={`Take ${series.name} out`}
            >
              ×
            </button>
          </li>
        );
      })}
    </ul>
  );
}

interface ComparisonProps {
  answer: CompareAnswer;
  search: CompareSearch;
  onChange: Change;
}

function Comparison({ answer, search, onChange }: ComparisonProps) {
  const { colourOf } = useRegistry();
  const svg = useRef<SVGSVGElement>(null);
  const model = compareModel(answer, search.measure ?? "weight", search.against);
  if (model.series.length < 2) {
    const missing = answer.entries.length < 2;
    return (
      <Empty title={missing ? "Add another LoRA" : "Nothing here can be compared"}>
        <p>
          {missing
            ? "Type its id or part of its name above."
            : "It takes two measured LoRAs of the same architecture; each of these says why it is left out."}
        </p>
      </Empty>
    );
  }
  const title = `Block strengths of ${model.series.map(({ id }) => id).join(", ")}`;
  const save = () => {
    const name = `compare-${model.series.map(({ id }) => id).join("-")}.svg`;
    if (svg.current) saveFile(standaloneSvg(svg.current, title), "image/svg+xml", name);
  };
  const asTable = search.view === "table";
  return (
    <>
      <section className={css.panel} aria-labelledby="blocks">
        <div className={css.panelHead}>
          <h2 id="blocks">Blocks</h2>
          <Mark>
            {answer.architecture_name} · {model.rows.length} blocks
          </Mark>
          <Controls model={model} onChange={onChange} />
          <div className={css.panelTools}>
            <Button
              kind="quiet"
              aria-pressed={asTable}
              onClick={() => onChange({ view: asTable ? undefined : "table" })}
            >
              {asTable ? "Show the chart" : "Read as a table"}
            </Button>
            <Button kind="quiet" onClick={save} disabled={asTable}>
              Save SVG
            </Button>
          </div>
        </div>
        {answer.notes.map((note) => (
          <p key={note} className={css.note}>
            {note}
          </p>
        ))}
        {asTable ? (
          <CompareTable model={model} title={title} />
        ) : (
          <CompareChart model={model} title={title} colourOf={colourOf} svgRef={svg} />
        )}
        <p className={css.legend}>{legend(model, asTable)}</p>
      </section>
      <SimilarityTable answer={answer} model={model} />
    </>
  );
}

function legend({ measure, reference }: CompareModel, asTable: boolean): string {
  const what = {
    weight: "Each LoRA as a share of its own strongest block.",
    raw: "Size of the change of a whole block (Frobenius norm).",
    rms: "Change of a typical single weight of the block.",
  }[measure];
  const bars = asTable ? "Differences" : "Bars, in the order of the letters";
  return [
    what,
    reference &&
      `${bars}: how much more or less than ${reference.letter}; a block that a file leaves out counts as 0.`,
    !asTable && "Strips: weak to strong; a ring: not in this file; empty: not in its layout.",
  ]
    .filter(Boolean)
    .join(" ");
}

const MEASURE_WORDS: Record<Measure, string> = {
  weight: "Normalised",
  raw: "Raw strength",
  rms: "RMS change",
};

function Controls({ model, onChange }: { model: CompareModel; onChange: Change }) {
  return (
    <div className={css.controls}>
      <fieldset className={css.choice}>
        <legend className="visually-hidden">Strength</legend>
        {(Object.keys(MEASURE_WORDS) as Measure[]).map((measure) => (
          <button
            key={measure}
            type="button"
            aria-pressed={model.measure === measure}
            onClick={() => onChange({ measure: measure === "weight" ? undefined : measure })}
          >
            {MEASURE_WORDS[measure]}
          </button>
        ))}
      </fieldset>
      <fieldset className={css.choice}>
        <legend className="visually-hidden">Overlaid, or against one of them</legend>
        <button
          type="button"
          aria-pressed={model.reference === null}
          onClick={() => onChange({ against: undefined })}
        >
          Overlaid
        </button>
        {model.series.map((series) => (
          <button
            key={series.id}
            type="button"
            aria-pressed={model.reference === series}
            title={`How the others differ from ${series.name}`}
            onClick={() => onChange({ against: series.id })}
          >
            {series.place === model.series[0]?.place ? `Against ${series.letter}` : series.letter}
          </button>
        ))}
      </fieldset>
    </div>
  );
}
