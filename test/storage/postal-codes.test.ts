import { describe, expect, it } from 'vitest';
import { distanceKm } from '../../src/segments/geo.ts';
import { postalCodes } from '../../src/storage/postal-codes.ts';

const centreOf = (code: string, country = 'US') => postalCodes.centreOf(country, code);

describe('the table of postal codes', () => {
  it.each([
    ['Beverly Hills', '90210', 34.0901, -118.4065],
    ['Manhattan', '10001', 40.7506, -73.9971],
    ['Boston, whose codes begin with a zero', '02108', 42.3576, -71.0684],
    ['Akutan, the first line', '99553', 54.143, -165.7854],
    ['Pearl Harbor, which has a second line', '96860', 21.316, -157.8677],
  ])('knows %s', (_name, code, latitude, longitude) => {
    const centre = centreOf(code);
    expect(centre && distanceKm(centre, { latitude, longitude })).toBeLessThan(5);
  });

  it('takes the first five of nine digits', () => {
    expect(centreOf('90210-1234')).toEqual(centreOf('90210'));
  });

  it.each(['00000', '9021', '902101', '90210-12', ' 90210', 'US\t90', '', '00901'])('knows no %j', (code) => {
    expect(centreOf(code)).toBeNull();
  });

  it('knows no code of another country', () => {
    expect(centreOf('90210', 'DE')).toBeNull();
  });

  it('has places on the globe only, some 41,000 of them', () => {
    const all = Array.from({ length: 100_000 }, (_, i) => centreOf(String(i).padStart(5, '0')));
    const found = all.filter((centre) => centre !== null);
    expect(found.length).toBeGreaterThan(41_000);
    const isPlace = ({ latitude, longitude }: { latitude: number; longitude: number }) =>
      Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && latitude !== 0 && longitude !== 0;
    expect(found.filter((centre) => !isPlace(centre))).toEqual([]);
  });
});
