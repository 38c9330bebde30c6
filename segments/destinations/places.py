"""Names of countries, states and provinces as people write them, to their two-letter codes (ISO 3166-1, ANSI, Canada Post).

Keys hold the letters a-z only, so that "United-States" and "united states" are one name.
"""

US_STATES = (
    "alabama al,alaska ak,arizona az,arkansas ar,california ca,colorado co,connecticut ct,delaware de,"
    "districtofcolumbia dc,florida fl,georgia ga,hawaii hi,idaho id,illinois il,indiana in,iowa ia,kansas ks,kentucky ky,"
    "louisiana la,maine me,maryland md,massachusetts ma,michigan mi,minnesota mn,mississippi ms,missouri mo,montana mt,"
    "nebraska ne,nevada nv,newhampshire nh,newjersey nj,newmexico nm,newyork ny,northcarolina nc,northdakota nd,ohio oh,"
    "oklahoma ok,oregon or,pennsylvania pa,rhodeisland ri,southcarolina sc,southdakota sd,tennessee tn,texas tx,utah ut,"
    "vermont vt,virginia va,washington wa,westvirginia wv,wisconsin wi,wyoming wy"
)
CANADIAN_PROVINCES = (
    "alberta ab,britishcolumbia bc,manitoba mb,newbrunswick nb,newfoundlandandlabrador nl,northwestterritories nt,"
    "novascotia ns,nunavut nu,ontario on,princeedwardisland pe,quebec qc,saskatchewan sk,yukon yt"
)
COUNTRIES = (
    "afghanistan af,alandislands ax,albania al,algeria dz,americansamoa as,andorra ad,angola ao,anguilla ai,antarctica aq,"
    "antiguaandbarbuda ag,argentina ar,armenia am,aruba aw,australia au,austria at,azerbaijan az,bahamas bs,bahrain bh,"
    "bangladesh bd,barbados bb,belarus by,belgium be,belize bz,benin bj,bermuda bm,bhutan bt,bolivia bo,"
    "boliviaplurinationalstateof bo,bonairesinteustatiusandsaba bq,bosniaandherzegovina ba,botswana bw,bouvetisland bv,"
    "brasil br,brazil br,britishindianoceanterritory io,brunei bn,bruneidarussalam bn,bulgaria bg,burkinafaso bf,"
    "burundi bi,caboverde cv,cambodia kh,cameroon cm,canada ca,capeverde cv,caymanislands ky,centralafricanrepublic cf,"
    "chad td,chile cl,china cn,christmasisland cx,cocoskeelingislands cc,colombia co,comoros km,congo cg,"
    "congothedemocraticrepublicofthe cd,cookislands ck,costarica cr,cotedivoire ci,croatia hr,cuba cu,curacao cw,"
    "cyprus cy,czechia cz,czechrepublic cz,democraticrepublicofthecongo cd,denmark dk,deutschland de,djibouti dj,"
    "dominica dm,dominicanrepublic do,ecuador ec,egypt eg,elsalvador sv,england gb,equatorialguinea gq,eritrea er,"
    "espana es,estonia ee,eswatini sz,ethiopia et,falklandislandsmalvinas fk,faroeislands fo,fiji fj,finland fi,france fr,"
    "frenchguiana gf,frenchpolynesia pf,frenchsouthernterritories tf,gabon ga,gambia gm,georgia ge,germany de,ghana gh,"
    "gibraltar gi,greatbritain gb,greece gr,greenland gl,grenada gd,guadeloupe gp,guam gu,guatemala gt,guernsey gg,"
    "guinea gn,guineabissau gw,guyana gy,haiti ht,heardislandandmcdonaldislands hm,holysee va,holyseevaticancitystate va,"
    "honduras hn,hongkong hk,hungary hu,iceland is,ind in,india in,indonesia id,iran ir,iranislamicrepublicof ir,iraq iq,"
    "ireland ie,isleofman im,israel il,italia it,italy it,ivorycoast ci,jamaica jm,japan jp,jersey je,jordan jo,"
    "kazakhstan kz,kenya ke,kiribati ki,koreademocraticpeoplesrepublicof kp,korearepublicof kr,kuwait kw,kyrgyzstan kg,"
    "laopeoplesdemocraticrepublic la,laos la,latvia lv,lebanon lb,lesotho ls,liberia lr,libya ly,liechtenstein li,"
    "lithuania lt,luxembourg lu,macao mo,macedonia mk,macedoniatheformeryugoslavrepublicof mk,madagascar mg,malawi mw,"
    "malaysia my,maldives mv,mali ml,malta mt,marshallislands mh,martinique mq,mauritania mr,mauritius mu,mayotte yt,"
    "mexico mx,micronesia fm,micronesiafederatedstatesof fm,moldova md,moldovarepublicof md,monaco mc,mongolia mn,"
    "montenegro me,montserrat ms,morocco ma,mozambique mz,myanmar mm,namibia na,nauru nr,nepal np,netherlands nl,"
    "newcaledonia nc,newzealand nz,nicaragua ni,niger ne,nigeria ng,niue nu,norfolkisland nf,northkorea kp,"
    "northmacedonia mk,northernmarianaislands mp,norway no,oman om,osterreich at,pakistan pk,palau pw,palestine ps,"
    "palestinestateof ps,panama pa,papuanewguinea pg,paraguay py,peru pe,philippines ph,pitcairn pn,poland pl,"
    "portugal pt,puertorico pr,qatar qa,reunion re,romania ro,russia ru,russianfederation ru,rwanda rw,"
    "saintbarthelemy bl,sainthelena sh,saintkittsandnevis kn,saintlucia lc,saintmartin mf,saintpierreandmiquelon pm,"
    "saintvincentandthegrenadines vc,samoa ws,sanmarino sm,saotomeandprincipe st,saudiarabia sa,scotland gb,senegal sn,"
    "serbia rs,seychelles sc,sierraleone sl,singapore sg,sintmaarten sx,slovakia sk,slovenia si,solomonislands sb,"
    "somalia so,southafrica za,southgeorgiaandthesouthsandwichislands gs,southkorea kr,southsudan ss,spain es,"
    "srilanka lk,sudan sd,suriname sr,svalbardandjanmayen sj,swaziland sz,sweden se,switzerland ch,syria sy,"
    "syrianarabrepublic sy,taiwan tw,taiwanprovinceofchina tw,tajikistan tj,tanzania tz,tanzaniaunitedrepublicof tz,"
    "thailand th,timorleste tl,togo tg,tokelau tk,tonga to,trinidadandtobago tt,tunisia tn,turkey tr,turkiye tr,"
    "turkmenistan tm,turksandcaicosislands tc,tuvalu tv,uganda ug,ukraine ua,unitedarabemirates ae,unitedkingdom gb,"
    "unitedstates us,unitedstatesminoroutlyingislands um,unitedstatesofamerica us,uruguay uy,usa us,uzbekistan uz,"
    "vanuatu vu,vatican va,venezuela ve,venezuelabolivarianrepublicof ve,vietnam vn,virginislandsbritish vg,"
    "virginislandsus vi,wales gb,wallisandfutuna wf,westernsahara eh,yemen ye,zambia zm,zimbabwe zw"
)


def code_table(text: str) -> dict[str, str]:
    """``name code,name code`` to {name: code}."""
    return dict(entry.split(" ") for entry in text.split(","))


STATE_CODES = code_table(f"{US_STATES},{CANADIAN_PROVINCES}")
COUNTRY_CODES = code_table(COUNTRIES)
