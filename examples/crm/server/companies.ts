/** The seed: three companies that sell different things and must never see each other's deals. */
export type Company = {
  /** The tenant id, as it stands in tokens and in `company_id` of events. */
  readonly id: string;
  readonly name: string;
  readonly currency: 'EUR' | 'USD' | 'GBP';
  readonly users: readonly User[];
  /** Names for the stages, in the order of `STAGES`. */
  readonly stageNames: readonly string[];
  readonly products: readonly string[];
  readonly accounts: readonly string[];
  /** Typical smallest and largest deal. */
  readonly values: readonly [number, number];
};

export type User = { readonly id: string; readonly name: string; readonly jobTitle: string };

export type StageKind = 'OPEN' | 'WON' | 'LOST';

export const STAGES: readonly { readonly id: string; readonly probability: number; readonly kind: StageKind }[] = [
  { id: 'prospecting', probability: 0.1, kind: 'OPEN' },
  { id: 'qualified', probability: 0.3, kind: 'OPEN' },
  { id: 'proposal', probability: 0.5, kind: 'OPEN' },
  { id: 'negotiation', probability: 0.75, kind: 'OPEN' },
  { id: 'won', probability: 1, kind: 'WON' },
  { id: 'lost', probability: 0, kind: 'LOST' },
];

export const OPEN_STAGES: readonly string[] = STAGES.filter((stage) => stage.kind === 'OPEN').map((stage) => stage.id);

export const COMPANIES: readonly Company[] = [
  {
    id: 'nordwind',
    name: 'Nordwind Logistik',
    currency: 'EUR',
    users: [
      { id: 'ines', name: 'Ines Albrecht', jobTitle: 'Head of Sales' },
      { id: 'jonas', name: 'Jonas Petersen', jobTitle: 'Account Executive' },
      { id: 'mehmet', name: 'Mehmet Kaya', jobTitle: 'Account Executive' },
      { id: 'frida', name: 'Frida Lindqvist', jobTitle: 'Key Account Manager' },
    ],
    stageNames: ['Prospecting', 'Qualified', 'Proposal', 'Negotiation', 'Won', 'Lost'],
    products: [
      'Cold-chain pilot',
      'Fleet tracking',
      'Overnight lanes',
      'Customs clearance',
      'Warehouse handover',
      'Last-mile Berlin',
      'Reefer containers',
      'Returns handling',
      'Rail to Verona',
      'Harbour drayage',
      'Pharma courier',
      'Pallet pooling',
      'Night depot',
      'Trade-fair transport',
      'Baltic ferry slots',
      'Tyre hotel',
      'Bonded storage',
    ],
    accounts: [
      'Meyer Frischdienst',
      'Bäckerei Sommer',
      'Altona Optik',
      'Elbe Pharma',
      'Kranz & Söhne',
      'Ostsee Textil',
      'Lumen Solar',
      'Hansa Möbel',
      'Fjordfisk AS',
      'Brauhaus Linde',
      'Rotpunkt Werkzeuge',
      'Papier Vogt',
    ],
    values: [6_000, 140_000],
  },
  {
    id: 'harbor',
    name: 'Harbor & Pine Coffee',
    currency: 'USD',
    users: [
      { id: 'maya', name: 'Maya Thompson', jobTitle: 'Wholesale Director' },
      { id: 'luis', name: 'Luis Ortega', jobTitle: 'Regional Sales' },
      { id: 'grace', name: 'Grace Kim', jobTitle: 'Regional Sales' },
    ],
    stageNames: ['New lead', 'Tasting booked', 'Quote sent', 'Terms', 'Signed', 'Passed'],
    products: [
      'House blend, 12 months',
      'Espresso bar fit-out',
      'Office subscription',
      'Single-origin rotation',
      'Cold brew on tap',
      'Barista training',
      'Holiday gift boxes',
      'Hotel minibar beans',
      'Grinder lease',
      'Private label roast',
      'Decaf trial',
      'Café opening kit',
      'Conference catering',
      'Reusable cups',
      'Seasonal menu',
      'Syrup line',
      'Roastery tour',
    ],
    accounts: [
      'Juniper Hotels',
      'Cascade Credit Union',
      'Tillamook Books',
      'Northbank Cinema',
      'Alder Street Bakery',
      'Rosewood Clinic',
      'Mount Tabor Gym',
      'Union Depot',
      'Sellwood Market',
      'Foxglove Florists',
      'Bridge City Law',
      'Willamette Design',
    ],
    values: [900, 28_000],
  },
  {
    id: 'kestrel',
    name: 'Kestrel Robotics',
    currency: 'GBP',
    users: [
      { id: 'priya', name: 'Priya Raman', jobTitle: 'Commercial Lead' },
      { id: 'tom', name: 'Tom Whitfield', jobTitle: 'Sales Engineer' },
      { id: 'owen', name: 'Owen Davies', jobTitle: 'Sales Engineer' },
    ],
    stageNames: ['Discovery', 'Site survey', 'Proposal', 'Procurement', 'Won', 'Lost'],
    products: [
      'Palletising cell',
      'Inspection drone lease',
      'Welding arm retrofit',
      'Bin-picking trial',
      'Vision upgrade',
      'Service plan, 3 years',
      'Packing line',
      'Greenhouse rover',
      'Paint booth robot',
      'Lab automation',
      'Depalletiser',
      'Safety audit',
      'Milling cell',
      'Spare parts contract',
      'Conveyor merge',
      'Tray loader',
      'Operator training',
    ],
    accounts: [
      'Avon Castings',
      'Severn Dairies',
      'Clifton Aerospace',
      'Mendip Cider',
      'Tamar Boats',
      'Wessex Labels',
      'Purbeck Ceramics',
      'Cotswold Produce',
      'Portishead Freight',
      'Bath Biologics',
      'Exmoor Timber',
      'Kennet Plastics',
    ],
    values: [12_000, 320_000],
  },
];

export function companyOf(id: string): Company | undefined {
  return COMPANIES.find((company) => company.id === id);
}

/** Fails loudly on a company that does not exist, so that a wrong tenant id cannot read as an empty one. */
export function requireCompany(id: string): Company {
  const company = companyOf(id);
  if (!company) throw new Error(`no company "${id}"; there are ${COMPANIES.map((c) => c.id).join(', ')}`);
  return company;
}
